#include "runtime/weight_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "files/descriptor.h"
#include "files/file.h"
#include "files/json.h"
#include "model/random_weights.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

// The file: blocks, each at a multiple of a page; what describes them as JSON; the JSON's length in
// eight bytes; the magic.
constexpr std::string_view kMagic = "PI0PREP1";
constexpr std::size_t kPage = 4096;
constexpr std::size_t kTrailer = 8 + kMagic.size();
constexpr std::uint64_t kMostDescription = std::uint64_t{1} << 24;  // π0's is 12 KB

std::size_t in_pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

class Hash {
 public:
  Hash() : state_(XXH3_createState()) { XXH3_128bits_reset(state_.get()); }
  void add(const void* data, std::size_t bytes) { XXH3_128bits_update(state_.get(), data, bytes); }
  void add(std::string_view text) { add(text.data(), text.size()); }
  std::string text() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
    std::string hex;
    for (const unsigned char byte : canonical.digest) {
      constexpr char kDigits[] = "0123456789abcdef";
      hex += {kDigits[byte >> 4], kDigits[byte & 15]};
    }
    return hex;
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

std::string message_of(int error) { return std::generic_category().message(error); }

using WeightFiles = std::vector<std::shared_ptr<const OpenedFile>>;

// What the system said of the weight files when they were opened; where it is the same, so are
// they. Of the open files and not of their names, which others may have by now.
Json signature(const WeightFiles& files) {
  Json said = Json::array();
  for (const auto& file : files) {
    const OpenedFile::State& state = file->state();
    said.push_back({{"name", file->path().filename().string()},
                    {"size", state.size},
                    {"modified", state.modified},
                    {"changed", state.changed},
                    {"inode", state.inode}});
  }
  return said;
}

// Of what the files hold. Read, not mapped: it would count as this process's memory.
std::string content_hash(const WeightFiles& files) {
  Hash hash;
  std::vector<char> buffer(std::size_t{4} << 20);
  for (const auto& file : files) {
    off_t place = 0;
    ssize_t count = 0;
    while ((count = ::pread(file->descriptor().get(), buffer.data(), buffer.size(), place)) > 0) {
      hash.add(buffer.data(), static_cast<std::size_t>(count));
      place += count;
    }
    if (count < 0) return {};  // equal to no hash
  }
  return hash.text();
}

// Of the network's sizes: the order and size of the blocks follow from them and the form.
std::string architecture_hash(const ModelConfig& config) {
  Hash hash;
  for (const TensorSpec& spec : architecture(config)) hash.add(spec.name + shape_text(spec.shape));
  return hash.text();
}

// Shapes for what is prepared already; rows of the embedding are looked up in its file.
class PreparedSource final : public WeightSource {
 public:
  explicit PreparedSource(const CheckpointData& checkpoint)
      : shapes_(make_weight_shapes(checkpoint.model)), weights_(checkpoint.weights) {}
  HostTensor tensor(const std::string& name) const override {
    return name == kEmbedTokens ? weights_->tensor(name) : shapes_->tensor(name);
  }

 private:
  std::shared_ptr<const WeightSource> shapes_, weights_;
};

class FileCache final : public WeightCache {
 public:
  FileCache(fs::path path, const CheckpointData& checkpoint, std::string form)
      : path_(std::move(path)),
        partial_(path_.string() + ".partial"),
        checkpoint_(checkpoint),
        form_(std::move(form)),
        architecture_(architecture_hash(checkpoint.model)),
        signature_(signature(checkpoint.weight_files)) {
    const std::string wrong = read();
    if (ready_) return;
    if (!wrong.empty()) {
      warn(path_.string() + " " + wrong + ": the weights are prepared from the checkpoint");
    }
    if (may_write_) begin_writing();
  }

  ~FileCache() override {
    unmap();
    drop_partial();
  }

  Block take(std::size_t bytes) override {
    const std::size_t index = taken_++;
    if (ready_) {
      if (index >= blocks_.size() || blocks_[index] != bytes) {
        throw Error(ErrorCode::kInvalidCheckpoint,
                    path_.string() + " does not hold what this network asks for: delete it");
      }
      std::byte* const data = mapped_ + offset_;
      offset_ += in_pages(bytes);
      return {data, true};
    }
    if (std::byte* const data = file_ ? extend(bytes) : nullptr) {
      blocks_.push_back(bytes);
      return {data, false};
    }
    if (memory_ == nullptr) memory_ = make_prepared_memory();
    return memory_->take(bytes);
  }

  bool ready() const override { return ready_; }

  std::shared_ptr<const WeightSource> source() const override {
    if (!ready_) return checkpoint_.weights;
    return std::make_shared<PreparedSource>(checkpoint_);
  }

  void finish() override {
    if (!file_) return;
    Hash data;
    for (const Segment& segment : segments_) data.add(segment.data, segment.bytes);
    Json json{{"form", form_},       {"architecture", architecture_},
              {"files", signature_}, {"content", content_hash(checkpoint_.weight_files)},
              {"data", data.text()}, {"blocks", blocks_}};
    const std::string text = json.dump();
    const std::uint64_t length = text.size();
    std::string end = text + std::string(8, '\0') + std::string(kMagic);
    std::memcpy(end.data() + text.size(), &length, sizeof length);
    const ssize_t written =
        ::pwrite(file_->get(), end.data(), end.size(), static_cast<off_t>(offset_));
    if (written != static_cast<ssize_t>(end.size())) return give_up(written < 0 ? errno : ENOSPC);
    for (const auto& weights : checkpoint_.weight_files) weights->require_unchanged();
    if (!is_partial(*file_)) return give_up(ENOENT);
    if (::rename(partial_.c_str(), path_.c_str()) != 0) return give_up(errno);
    file_.reset();
  }

  const std::vector<std::string>& warnings() const override { return warnings_; }

 private:
  struct Segment {
    std::byte* data;
    std::size_t bytes;
  };

  void unmap() {
    for (const Segment& segment : segments_) ::munmap(segment.data, segment.bytes);
    segments_.clear();
  }
  void warn(std::string sentence) { warnings_.push_back(std::move(sentence)); }

  // What is wrong with the file that is there; empty where none is, or where all is well.
  std::string read() {
    const Descriptor file(path_, O_RDONLY);
    if (!file) {
      if (errno == ENOENT) return {};
      may_write_ = false;
      return "cannot be read (" + message_of(errno) + ")";
    }
    struct stat status {};
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
      may_write_ = false;
      return "is no file";
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    std::array<char, kTrailer> trailer{};
    std::uint64_t length = 0;
    if (size >= kTrailer &&
        ::pread(file.get(), trailer.data(), kTrailer, static_cast<off_t>(size - kTrailer)) ==
            static_cast<ssize_t>(kTrailer)) {
      std::memcpy(&length, trailer.data(), sizeof length);
    }
    if (std::string_view(trailer.data() + 8, kMagic.size()) != kMagic) {
      return "is damaged, or not libpi0's (it does not end as its files do)";
    }
    if (length > std::min<std::uint64_t>(size - kTrailer, kMostDescription)) {
      return "is damaged (its description is too long)";
    }
    std::string text(length, '\0');
    const std::size_t data_bytes = size - kTrailer - length;
    const ssize_t count = ::pread(file.get(), text.data(), length, static_cast<off_t>(data_bytes));
    if (count != static_cast<ssize_t>(length)) {
      return "cannot be read (" + message_of(count < 0 ? errno : EIO) + ")";
    }
    return use(file, data_bytes, text);
  }

  std::string use(const Descriptor& file, std::size_t data_bytes, const std::string& text) {
    try {
      const Json json = parse_json(text, path_.string());
      const auto is = [&](const char* key, const std::string& value) {
        return json.contains(key) && json[key].is_string() && json[key] == value;
      };
      if (!is("form", form_) || !is("architecture", architecture_)) {
        return "is of another network, or of another libpi0";
      }
      blocks_ = json.at("blocks").get<std::vector<std::size_t>>();
      std::size_t expected = 0;
      for (const std::size_t bytes : blocks_) {
        if (bytes > data_bytes) return "is damaged (a block is larger than the file)";
        expected += in_pages(bytes);
      }
      if (expected != data_bytes) return "is damaged (it is not as long as its blocks)";
      if (json.at("files") != signature_ &&
          !is("content", content_hash(checkpoint_.weight_files))) {
        return "was made from other weights than " + checkpoint_.directory.string() + " has now";
      }
      if (data_bytes == 0) return "is damaged (it holds no weights)";
      void* const mapped =
          ::mmap(nullptr, data_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, file.get(), 0);
      if (mapped == MAP_FAILED) return "cannot be mapped (" + message_of(errno) + ")";
      mapped_ = static_cast<std::byte*>(mapped);
      segments_.push_back({mapped_, data_bytes});
      Hash hash;
      hash.add(mapped_, data_bytes);
      if (!is("data", hash.text())) {
        unmap();
        return "is damaged (its hash is another)";
      }
    } catch (const std::exception& error) {  // JSON that is none, or of another form
      return std::string("is damaged (") + error.what() + ")";
    }
    ready_ = true;
    return {};
  }

  void begin_writing() {
    blocks_.clear();
    // One that a process which died has left is taken over; one that is being written is not. What
    // another process has put into its place, or taken away, before it was locked here, is not it.
    do {
      file_.emplace(partial_, O_RDWR | O_CREAT, 0666);
      if (!*file_) {
        const int error = errno;
        file_.reset();
        return give_up(error);
      }
      if (::flock(file_->get(), LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        file_.reset();
        return warn(partial_.string() +
                    (error == EWOULDBLOCK ? " is being written by another process"
                                          : " cannot be locked (" + message_of(error) + ")") +
                    ": the prepared weights are not kept");
      }
    } while (!is_partial(*file_));
    if (::ftruncate(file_->get(), 0) != 0) give_up(errno);
  }

  bool is_partial(const Descriptor& file) const {
    struct stat opened {};
    struct stat named {};
    return ::fstat(file.get(), &opened) == 0 && ::stat(partial_.c_str(), &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
  }

  // The next block of the file, or null where it cannot grow.
  std::byte* extend(std::size_t bytes) {
    const std::size_t length = in_pages(bytes);
    // Reserved: a full disk is told here, and not as a fault in the middle of the packing.
    if (const int error = ::posix_fallocate(file_->get(), static_cast<off_t>(offset_),
                                            static_cast<off_t>(length));
        error != 0) {
      give_up(error);
      return nullptr;
    }
    void* const data = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file_->get(),
                              static_cast<off_t>(offset_));
    if (data == MAP_FAILED) {
      give_up(errno);
      return nullptr;
    }
    offset_ += length;
    segments_.push_back({static_cast<std::byte*>(data), length});
    return segments_.back().data;
  }

  // The blocks handed out so far stay mapped; the file goes.
  void give_up(int error) {
    warn(partial_.string() + " cannot be written (" + message_of(error) +
         "): the prepared weights are not kept");
    drop_partial();
  }

  // Only what is locked here: the name may be another process's.
  void drop_partial() {
    if (file_ && is_partial(*file_)) ::unlink(partial_.c_str());
    file_.reset();
  }

  fs::path path_, partial_;
  const CheckpointData checkpoint_;
  std::string form_, architecture_;
  Json signature_;
  std::vector<std::string> warnings_;
  bool ready_ = false, may_write_ = true;

  std::optional<Descriptor> file_;  // being written, and locked
  std::vector<Segment> segments_;   // mapped
  std::byte* mapped_ = nullptr;     // of a file that is ready
  std::vector<std::size_t> blocks_;
  std::size_t taken_ = 0;
  std::size_t offset_ = 0;                  // of the next block
  std::unique_ptr<PreparedMemory> memory_;  // where the file cannot be written
};

// One file a checkpoint (by its place, and that of the base where it is adapters) and form.
fs::path file_in(const fs::path& directory, const CheckpointData& checkpoint,
                 const std::string& form) {
  const auto canonical = [](const fs::path& path) {
    std::error_code error;
    const fs::path found = fs::canonical(path, error);
    return error ? path : found;
  };
  const fs::path place = canonical(checkpoint.directory);
  Hash hash;
  if (!checkpoint.base.empty()) hash.add(canonical(checkpoint.base).string() + '\n');
  hash.add(place.string() + '\n' + form + '\n' + architecture_hash(checkpoint.model));
  return directory / (place.filename().string() + "-" + hash.text().substr(0, 16) + ".prepared");
}

}  // namespace

std::shared_ptr<WeightCache> WeightCache::open(const fs::path& directory,
                                               const CheckpointData& checkpoint,
                                               const std::string& form) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (!fs::is_directory(directory)) {
    throw Error(ErrorCode::kIo, directory.string() + " is no directory for prepared weights" +
                                    (error ? ": " + error.message() : ""));
  }
  return std::make_shared<FileCache>(file_in(directory, checkpoint, form), checkpoint, form);
}

}  // namespace pi0
