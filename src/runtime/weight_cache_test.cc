// Prepared weights kept between two loads: used where they are the checkpoint's, made anew where
// they are not, and never in the way.
#include "runtime/weight_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/file_limit_testing.h"
#include "base/test_support.h"
#include "files/file.h"
#include "files/json.h"
#include "runtime/input_testing.h"
#include "runtime/loaded_network.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(PI0_SOURCE_DIR) / "testdata/golden";

class WeightCacheTest : public testing::Test {
 protected:
  WeightCacheTest() { take("pi0_tiny"); }
  void take(const char* golden) const {
    fs::remove_all(checkpoint);
    fs::copy(kGolden / golden, checkpoint, fs::copy_options::recursive);
  }

  struct Loaded {
    std::vector<float> actions;
    std::vector<std::string> warnings;
  };
  Loaded load(const std::string& dtype = "int8", bool cached = true) const {
    return load(open_checkpoint(checkpoint), dtype, cached);
  }
  Loaded load(const CheckpointData& opened, const std::string& dtype = "int8", bool cached = true,
              const std::function<void(const Progress&)>& progress = {}) const {
    DeviceOptions options;
    options.device = "cpu";
    options.dtype = dtype;
    options.progress = progress;
    if (cached) options.cache = cache;
    const Network network = load_network(opened, options);
    SampleOptions sample;
    sample.seed = 3;
    return {network.sample_actions(input_of(network.info()), sample), network.info().warnings};
  }
  void expect_warned(const std::vector<std::string>& words) const {
    const Loaded loaded = load();
    ASSERT_EQ(loaded.warnings.size(), 1u);
    for (const std::string& word : words) {
      EXPECT_NE(loaded.warnings[0].find(word), std::string::npos) << loaded.warnings[0];
    }
    EXPECT_EQ(loaded.actions, load("int8", false).actions);
    EXPECT_TRUE(load().warnings.empty());  // it was made anew
  }

  std::vector<fs::path> files() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(cache)) paths.push_back(entry.path());
    return paths;
  }
  fs::path file() const {
    EXPECT_EQ(files().size(), 1u);
    return files().at(0);
  }

  TemporaryDirectory directory;
  fs::path checkpoint = directory / "checkpoint";
  fs::path cache = directory / "cache";  // made when it is first used
};

void overwrite(const fs::path& path, std::int64_t place, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(place);
  file << bytes;
}

TEST_F(WeightCacheTest, ALaterLoadUsesWhatAnEarlierOneKept) {
  for (const char* golden : {"pi0_tiny", "pi05_tiny"}) {
    take(golden);
    for (const char* dtype : {"int8", "bf16", "fp32"}) {
      const Loaded without = load(dtype, false);
      EXPECT_EQ(load(dtype).actions, without.actions);
      const Loaded again = load(dtype);
      EXPECT_EQ(again.actions, without.actions) << golden << ' ' << dtype;
      EXPECT_TRUE(again.warnings.empty());
    }
  }
  EXPECT_EQ(files().size(), 6u);  // a file a network and type, and nothing half written
}

TEST_F(WeightCacheTest, IsReadyOnlyOnceItIsWhole) {
  const CheckpointData opened = open_checkpoint(checkpoint);
  const std::string form = "a form";
  {
    const auto first = WeightCache::open(cache, opened, form);
    EXPECT_FALSE(first->ready());
    first->take(100).data[99] = std::byte{7};
    first->take(5000).data[4999] = std::byte{8};
    // Another process meanwhile does not wait, and does not spoil it.
    const auto second = WeightCache::open(cache, opened, form);
    EXPECT_FALSE(second->ready());
    EXPECT_EQ(second->warnings().size(), 1u);
    EXPECT_FALSE(second->take(100).ready);
  }
  EXPECT_TRUE(files().empty());  // never finished
  {
    const auto first = WeightCache::open(cache, opened, form);
    first->take(100).data[99] = std::byte{7};
    first->take(5000).data[4999] = std::byte{8};
    first->finish();
  }
  const auto third = WeightCache::open(cache, opened, form);
  ASSERT_TRUE(third->ready());
  const PreparedMemory::Block small = third->take(100), large = third->take(5000);
  EXPECT_TRUE(small.ready && large.ready);
  EXPECT_EQ(small.data[99], std::byte{7});
  EXPECT_EQ(large.data[4999], std::byte{8});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(large.data) % 64, 0u);
  expect_error(ErrorCode::kInvalidCheckpoint, {"delete it"}, [&] { third->take(1); });
  EXPECT_FALSE(WeightCache::open(cache, opened, "another form")->ready());
}

TEST_F(WeightCacheTest, ADamagedFileIsMadeAnew) {
  load();
  const auto size = static_cast<std::int64_t>(fs::file_size(file()));
  overwrite(file(), size / 2, "x");
  expect_warned({"damaged", "hash"});
  fs::resize_file(file(), static_cast<std::uintmax_t>(size / 2));
  expect_warned({"damaged", "does not end"});
  overwrite(file(), size - 16, "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f");  // the description's length
  expect_warned({"damaged", "description"});
  std::int64_t all_but_one = size - 17;  // as long as nearly all of the file
  overwrite(file(), size - 16, std::string(reinterpret_cast<const char*>(&all_but_one), 8));
  expect_warned({"damaged"});
  overwrite(file(), size - 40, "\x01\x02");  // within the description
  expect_warned({"damaged"});
  std::ofstream(file()) << "somebody's notes";
  expect_warned({"not libpi0's"});
  std::ofstream(file()) << "";
  expect_warned({"not libpi0's"});
}

TEST_F(WeightCacheTest, AFileOfAnotherFormIsMadeAnew) {
  load("bf16");
  const fs::path other = file();
  load("int8");
  for (const fs::path& path : files()) {
    if (path != other) fs::copy_file(other, path, fs::copy_options::overwrite_existing);
  }
  expect_warned({"another network, or of another libpi0"});
}

TEST_F(WeightCacheTest, AChangedCheckpointIsPreparedAnew) {
  const std::vector<float> before = load().actions;
  const fs::path weights = checkpoint / "model.safetensors";
  const auto size = static_cast<std::int64_t>(fs::file_size(weights));
  overwrite(weights, size / 2, std::string(4, '\0'));  // one weight is 0 now
  expect_warned({"other weights", checkpoint.string()});
  // The same bytes at another time are the same weights.
  fs::last_write_time(weights, fs::file_time_type::clock::now());
  EXPECT_TRUE(load().warnings.empty());
}

// Of adapters, their own files count, and where the base is.
TEST_F(WeightCacheTest, ChangedAdaptersArePreparedAnew) {
  fs::rename(checkpoint, directory / "base");
  fs::copy(fs::path(PI0_SOURCE_DIR) / "testdata/adapters/lerobot_default", checkpoint);
  const fs::path config = checkpoint / "adapter_config.json";
  Json json = read_json(config);
  json["base_model_name_or_path"] = (directory / "base").string();
  write_file(config, json.dump());
  const std::vector<float> before = load().actions;
  EXPECT_EQ(load().actions, before);
  EXPECT_EQ(before, load("int8", false).actions);
  json["lora_alpha"] = 70;
  write_file(config, json.dump());
  expect_warned({"other weights"});
  EXPECT_NE(load().actions, before);
  const fs::path tensors = checkpoint / "adapter_model.safetensors";
  overwrite(tensors, static_cast<std::int64_t>(fs::file_size(tensors)) - 8, std::string(4, '\0'));
  expect_warned({"other weights"});
  overwrite(directory / "base/model.safetensors", 500'000, std::string(4, '\0'));
  expect_warned({"other weights"});
}

TEST_F(WeightCacheTest, ADirectoryThatCannotBe) {
  std::ofstream(cache) << "a file";
  expect_error(ErrorCode::kIo, {cache.string()}, [&] { load(); });
}

// What has the names by the time of the load is not what was opened.
TEST_F(WeightCacheTest, FilesThatTakeTheNamesAreOthers) {
  const std::vector<float> before = load("int8", false).actions;
  const CheckpointData opened = open_checkpoint(checkpoint);
  const fs::path weights = checkpoint / "model.safetensors", others = directory / "others";
  fs::copy_file(weights, others);
  overwrite(others, static_cast<std::int64_t>(fs::file_size(others)) / 2, std::string(4, '\0'));
  fs::rename(others, weights);
  EXPECT_EQ(load(opened).actions, before);
  expect_warned({"other weights"});
  EXPECT_NE(load().actions, before);
}

TEST_F(WeightCacheTest, WhatIsWrittenToDuringTheLoadIsNotKept) {
  const fs::path weights = checkpoint / "model.safetensors";
  const auto size = static_cast<std::int64_t>(fs::file_size(weights));
  expect_error(ErrorCode::kIo, {weights.string(), "has been written to"}, [&] {
    load(open_checkpoint(checkpoint), "int8", true, [&](const Progress& progress) {
      if (progress.done == 1) overwrite(weights, size / 2, std::string(4, '\0'));
    });
  });
  EXPECT_TRUE(files().empty());
}

TEST_F(WeightCacheTest, AFullDiskCostsTheCacheAlone) {
  load();
  const auto size = static_cast<rlim_t>(fs::file_size(file()));
  fs::remove(file());
  for (const rlim_t most : {rlim_t{0}, size / 2, size - 8}) {  // no block, some, all but the end
    const Loaded loaded = [&] {
      const FilesUpTo limit(most);
      return load();
    }();
    ASSERT_EQ(loaded.warnings.size(), 1u);
    EXPECT_NE(loaded.warnings[0].find("not kept"), std::string::npos) << loaded.warnings[0];
    EXPECT_EQ(loaded.actions, load("int8", false).actions);
    EXPECT_TRUE(files().empty());
  }
}

// A block that is given out has its place on the disk: filling it cannot fail.
TEST_F(WeightCacheTest, BlocksAreReserved) {
  const auto writing = WeightCache::open(cache, open_checkpoint(checkpoint), "a form");
  EXPECT_FALSE(writing->take(1 << 20).ready);
  struct stat status {};
  ASSERT_EQ(stat(file().c_str(), &status), 0);
  EXPECT_GE(status.st_blocks * 512, 1 << 20);
}

TEST_F(WeightCacheTest, LeavesWhatAnotherProcessWrites) {
  const CheckpointData opened = open_checkpoint(checkpoint);
  fs::path partial;
  {
    const auto first = WeightCache::open(cache, opened, "a form");
    first->take(100);
    partial = file();
    fs::remove(partial);
    std::ofstream(partial) << "another's";
    first->finish();
    ASSERT_EQ(first->warnings().size(), 1u);
    EXPECT_NE(first->warnings()[0].find("not kept"), std::string::npos);
  }
  EXPECT_EQ(read_file(file()), "another's");
  // Nor where it cannot be opened.
  fs::remove(partial);
  fs::create_symlink(directory / "no" / "where", partial);
  EXPECT_EQ(WeightCache::open(cache, opened, "a form")->warnings().size(), 1u);
  EXPECT_TRUE(fs::is_symlink(partial));
}

}  // namespace
}  // namespace pi0
