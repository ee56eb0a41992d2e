#include "cli/usage_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace pi0 {
namespace {

// How many letters have to be changed, left out, put in or swapped with their neighbour.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before, last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before = std::exchange(last, row);
  }
  return last[b.size()];
}

// " (did you mean 'run'?)" where `given` is a slip of a known name.
std::string nearest(const std::string& given, const std::vector<std::string>& known) {
  const auto least =
      std::min_element(known.begin(), known.end(), [&](const auto& one, const auto& other) {
        return distance(given, one) < distance(given, other);
      });
  if (least == known.end()) return "";
  const std::size_t slips = std::max<std::size_t>(1, given.size() / 3);
  return distance(given, *least) > slips ? "" : fmt::format(" (did you mean '{}'?)", *least);
}

std::vector<std::string> verbs_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* verb : command.get_subcommands(nullptr)) names.push_back(verb->get_name());
  return names;
}

std::string verb_sentence(const CLI::App& command, const std::string& given) {
  const std::vector<std::string> verbs = verbs_of(command);
  std::string list;
  for (const std::string& verb : verbs) {
    list += (list.empty() ? "" : verb == verbs.back() ? " or " : ", ") + verb;
  }
  return fmt::format(
      "{}, expected {}; `pi0 --help` says what each does",
      given.empty() ? "no verb" : fmt::format("unknown verb '{}'{}", given, nearest(given, verbs)),
      list);
}

// "--prmpt=x" and "-x" are options, "-0.5" and "drawer" are not.
bool is_option(const std::string& argument) {
  if (argument.size() < 2 || argument[0] != '-') return false;
  const char c = argument[1];
  return c == '-' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string unexpected_sentence(const CLI::App& verb, const std::vector<std::string>& extras) {
  const auto option = std::find_if(extras.begin(), extras.end(), is_option);
  if (option == extras.end()) {
    return "unexpected argument '" + extras.front() + "': a value with spaces needs quotes";
  }
  std::vector<std::string> known;
  for (const CLI::Option* one : verb.get_options()) {
    for (const std::string& name : one->get_lnames()) known.push_back("--" + name);
  }
  const std::string name = option->substr(0, option->find('='));
  return fmt::format("unknown option '{}'{}", name, nearest(name, known));
}

// The parser's own words, but for those that say it badly. Versions of it write them differently:
// "--seed: At Most 1 required but received 2" in 2.1, "At most" in Debian sid's.
std::string parser_sentence(const CLI::ParseError& error) {
  std::string sentence = error.what();
  for (const char* const words : {": At Most 1 required", ": At most 1 required"}) {
    const std::size_t twice = sentence.find(words);
    if (twice != std::string::npos) return sentence.substr(0, twice) + " is given twice";
  }
  return sentence;
}

}  // namespace

std::string usage_sentence(const CLI::App& command, const CLI::ParseError& error) {
  const std::vector<CLI::App*> chosen = command.get_subcommands();
  const std::vector<std::string> before = command.remaining();
  const bool is_first_option = !before.empty() && is_option(before.front());
  if (is_first_option) return unexpected_sentence(command, before) + "; `pi0 --help` lists them";
  if (chosen.empty() || !before.empty()) {
    return verb_sentence(command, before.empty() ? "" : before.front());
  }
  // What is not known comes first: an argument that it swallowed is missing elsewhere.
  const CLI::App& verb = *chosen.front();
  const std::vector<std::string> extras = verb.remaining();
  const std::string name = verb.get_name();
  return fmt::format("{}: {}; `pi0 {} --help` lists what it takes", name,
                     extras.empty() ? parser_sentence(error) : unexpected_sentence(verb, extras),
                     name);
}

}  // namespace pi0
