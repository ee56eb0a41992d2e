#include <charconv>

#include "device/ttnn/card_cost.h"
#include "device/ttnn/emulated/emulated_shim.h"
#include "device/ttnn/logging/logging_shim.h"
#include "device/ttnn/real/real_shim.h"
#include "device/ttnn/ttnn.h"

namespace pi0 {
namespace {

constexpr double kLeastCorrelation = 0.99;
// What a tensor is while it is prepared: as the file has it, packed in fp32, converted by TTNN.
constexpr int kCopies = 3;
constexpr const char* kOtherDevices = "name --device cpu, or ttnn-emulated to see a card's calls";

const DeviceNameForm kPolicyForm = {",hidden=dram",
                                    "a policy's row, of those that `pi0 audit` lists"};

Policies policies_of(const Card& card, const DeviceName& name) {
  Policies policies = default_policies(card);
  for (const std::string& setting : name.settings) override_policy(policies, setting);
  return policies;
}

Holding held_on(const Card& card, const Policies& policies) {
  const std::string type = shim::name_of(policies.of(MathRole::kProjection).weights);
  return {.weights = type,
          .own_memory = OwnMemory{card.name, card.dram_bytes(), card.l1_bytes},
          .on_host = false,
          .copies = kCopies,
          .way_out = type == "bfloat8_b"
                         ? "take one with more memory, or a checkpoint of smaller sizes"
                         : "take projections=bfloat8_b, or a card with more memory",
          .scale = [card, policies] {
            Card endless = card;  // how much it would be, whether there is so much or not
            endless.dram_bank_bytes = std::int64_t{1} << 50;
            return make_ttnn_device(make_emulated_shim(endless, false), policies, "ttnn");
          }};
}

OpenDevice on_card(std::unique_ptr<shim::Api> api, const std::string& kind,
                   const DeviceRequest& request, const DeviceName& name,
                   const std::string& reason) {
  const Card card = api->card();
  const Policies policies = policies_of(card, name);
  OpenDevice opened;
  opened.description = kind + " (" + api->description() + "; " + reason;
  for (const std::string& setting : name.settings) opened.description += "; " + setting;
  opened.description += ")";
  opened.least_correlation = kLeastCorrelation;
  opened.holding = held_on(card, policies);
  opened.settings = {{"Where results live", placement_lines(policies)},
                     {"How exactly operations compute", precision_lines(policies)}};
  if (request.log != nullptr) api = make_logging_shim(std::move(api), *request.log);
  opened.device = make_ttnn_device(std::move(api), policies, kind, request.log);
  return opened;
}

class TtnnBackend final : public Backend {
 public:
  explicit TtnnBackend(CardAccess access) : access_(std::move(access)) {}

  DeviceInfo info() const override {
    return {.name = "ttnn",
            .description = access_.simulated ? "TTNN on Tenstorrent's simulator of a card"
                                             : "TTNN on a Tenstorrent card",
            .forms = {{":1", "the second card; the first unless said"}, kPolicyForm},
            .absent = !access_.built         ? "this build has no TTNN"
                      : access_.count() == 0 ? "no Tenstorrent card was found"
                                             : "",
            .only_when_named = access_.simulated};
  }

  void check(const DeviceRequest& request, const DeviceName& name) const override {
    policies_of(*find_card("n150"), name);  // they are every card's
    if (!access_.built) {
      refuse_device(request.name,
                    std::string("this build has no TTNN; build with cmake -DPI0_TTNN=ON, or ") +
                        kOtherDevices);
    }
    if (access_.count() == 0) {
      refuse_device(
          request.name,
          std::string("no Tenstorrent card was found (tt-smi lists them); ") + kOtherDevices);
    }
    card_number(name);
  }

  OpenDevice open(const DeviceRequest& request, const DeviceName& name,
                  const std::string& reason) const override {
    return on_card(access_.open(card_number(name)), "ttnn", request, name, reason);
  }

  Holding holding(const DeviceRequest&, const DeviceName& name) const override {
    const Card& card = *find_card("n150");  // types are every card's
    return held_on(card, policies_of(card, name));
  }

 private:
  int card_number(const DeviceName& name) const {
    if (!name.which) return 0;
    const std::string& text = *name.which;
    int number = -1;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end || number < 0) {
      refuse_device(name.text,
                    "\"" + text + "\" is no card's number, expected ttnn:0 for the first");
    }
    const int cards = access_.count();
    if (number >= cards) {
      refuse_device(name.text,
                    "this machine has " + std::to_string(cards) +
                        (cards == 1 ? " card: ttnn:0"
                                    : " cards: ttnn:0 to ttnn:" + std::to_string(cards - 1)));
    }
    return number;
  }

  CardAccess access_;
};

class EmulatedBackend final : public Backend {
 public:
  DeviceInfo info() const override {
    return {.name = "ttnn-emulated",
            .description =
                "the same calls on a card emulated by the CPU: to develop and to check, "
                "slow",
            .forms = {{":p150", "that card; n150 unless said"}, kPolicyForm},
            .only_when_named = true};
  }

  void check(const DeviceRequest&, const DeviceName& name) const override {
    policies_of(card_of(name), name);
  }

  OpenDevice open(const DeviceRequest& request, const DeviceName& name,
                  const std::string& reason) const override {
    OpenDevice opened = on_card(make_emulated_shim(card_of(name), request.arithmetic),
                                "ttnn-emulated", request, name, reason);
    opened.holding.on_host = true;
    return opened;
  }

  Holding holding(const DeviceRequest&, const DeviceName& name) const override {
    const Card& card = card_of(name);
    Holding holding = held_on(card, policies_of(card, name));
    holding.on_host = true;
    return holding;
  }

  std::vector<std::string> machines() const override { return card_names(); }
  std::unique_ptr<CostModel> cost_model(const std::string& machine) const override {
    const Card* const card = find_card(machine);
    return card == nullptr ? nullptr : make_card_cost(*card);
  }

 private:
  static const Card& card_of(const DeviceName& name) {
    const std::string wanted = name.which.value_or("n150");
    if (const Card* const card = find_card(wanted)) return *card;
    std::string known;
    for (const std::string& one : card_names()) known += (known.empty() ? "" : " or ") + one;
    refuse_device(name.text, "there is no emulated card " + wanted + ", expected " + known);
  }
};

}  // namespace

CardAccess cards_here() {
  return {ttnn_is_built(), count_cards, make_real_shim, cards_are_simulated()};
}

std::unique_ptr<Backend> make_ttnn_backend(CardAccess access) {
  return std::make_unique<TtnnBackend>(std::move(access));
}

std::unique_ptr<Backend> make_emulated_backend() { return std::make_unique<EmulatedBackend>(); }

}  // namespace pi0
