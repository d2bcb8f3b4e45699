// The only source that includes toml++, which is slow to compile. Debian's library of it throws; this is the header
// alone.
#include "actnet/actors/config_file.hpp"

#include "actnet/actors/config_hints.hpp"
#include "actnet/actors/config_keys.hpp"
#include "actnet/net/address/parse_error.hpp"
#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
// Its assertions do not hold for every text: `[.]` breaks one. Without them, or assumptions in their place, that is an
// error like others.
#undef NDEBUG
#define TOML_ASSERT(condition) static_assert(true)
#define TOML_MAX_NESTED_VALUES 8
#include <toml++/toml.h>

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

namespace actnet {

namespace {

/// A file beyond this is none of ours, such as a device without end.
constexpr std::size_t file_bytes_max = 1024 * 1024;

/// toml++ makes a table for each part of a dotted key, one within the other, and takes them down recursively: with the
/// limit of nested values above, this keeps it from the end of the stack.
constexpr std::size_t line_bytes_max = 1'000;

/// The number of the first line that is too long, if there is one.
std::optional<std::size_t> overlong_line(std::string_view text) {
  for (std::size_t number = 1, begin = 0; begin < text.size(); ++number) {
    const auto end = std::min(text.find('\n', begin), text.size());
    if (end - begin > line_bytes_max)
      return number;
    begin = end + 1;
  }
  return std::nullopt;
}

/// A key as one writes it: in quotes if it has to be.
std::string shown_key(std::string_view key) {
  const auto is_bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  const auto shown = net::printable(key);
  return !key.empty() && std::ranges::all_of(key, is_bare) ? shown : "\"" + shown + "\"";
}

detail::found_value value_of(const toml::node& node) {
  switch (node.type()) {
  case toml::node_type::string: return **node.as_string();
  case toml::node_type::integer: return **node.as_integer();
  case toml::node_type::boolean: return **node.as_boolean();
  case toml::node_type::floating_point: return detail::odd_value{"a number with a fraction"};
  case toml::node_type::array: return detail::odd_value{"a list"};
  case toml::node_type::table: return detail::odd_value{"a table"};
  default: return detail::odd_value{"a date or a time of day"};
  }
}

/// One reading of one file.
class reading {
 public:
  reading(const std::string& file, settings& to) : file_(file), to_(to) {}

  std::vector<config_mistake> read(std::string_view text) {
    if (const auto number = overlong_line(text)) {
      note(*number, {}, "the line has more than " + std::to_string(line_bytes_max) + " bytes");
    } else if (const auto parsed = toml::parse(text)) {
      read_root(parsed.table());
      check_relations();
    } else {
      auto what = std::string{parsed.error().description()}; // may quote the file
      std::ranges::replace_if(
          what, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
      note(parsed.error().source().begin.line, {}, std::move(what));
    }
    std::ranges::stable_sort(mistakes_, {}, &config_mistake::line);
    return std::move(mistakes_);
  }

 private:
  void note(std::size_t line, std::string key, std::string what) {
    mistakes_.push_back({file_, line, std::move(key), std::move(what)});
  }

  void read_root(const toml::table& root) {
    for (const auto& [name, node] : root) {
      const auto line = name.source().begin.line;
      const auto table = node.as_table();
      const auto is_known = std::ranges::find(detail::config_keys(), name.str(), &detail::config_key::table) !=
                            detail::config_keys().end();
      if (is_known && table)
        read_table(name.str(), *table);
      else if (is_known)
        note(line, shown_key(name), "found " + to_text(value_of(node)) + ", expected a table");
      else if (table)
        note(line, shown_key(name), detail::unknown_table(name.str()));
      else
        note(line, shown_key(name), detail::unknown_key({}, name.str()));
    }
  }

  void read_table(std::string_view table, const toml::table& entries) {
    for (const auto& [name, node] : entries) {
      const auto line = name.source().begin.line;
      const auto path = std::string{table} + "." + shown_key(name);
      const auto known = std::ranges::find_if(detail::config_keys(), [&](const detail::config_key& key) {
        return key.table == table && key.name == name.str();
      });
      if (known == detail::config_keys().end())
        note(line, path, detail::unknown_key(table, name.str()));
      else if (auto mistake = detail::apply(*known, value_of(node), to_))
        note(line, path, std::move(*mistake));
      else
        lines_[path] = line;
    }
  }

  bool is_mistaken(std::string_view key) const {
    return std::ranges::find(mistakes_, key, &config_mistake::key) != mistakes_.end();
  }

  /// What the file does not mention has its place in a relation too, but cannot be blamed.
  void check_relations() {
    for (const auto& relation : detail::config_relations()) {
      if (relation.holds(to_) || is_mistaken(relation.lower) || is_mistaken(relation.upper))
        continue;
      const auto lower = relation.shown(relation.lower_of(to_));
      const auto upper = relation.shown(relation.upper_of(to_));
      if (const auto blamed = lines_.find(relation.lower); blamed != lines_.end())
        note(blamed->second, blamed->first,
             "found " + lower + ", expected no more than " + std::string{relation.upper} + ", which is " + upper);
      else if (const auto other = lines_.find(relation.upper); other != lines_.end())
        note(other->second, other->first,
             "found " + upper + ", expected no less than " + std::string{relation.lower} + ", which is " + lower);
    }
  }

  const std::string& file_;
  settings& to_;
  std::vector<config_mistake> mistakes_;
  std::map<std::string, std::size_t, std::less<>> lines_; // of the keys that were taken
};

struct file_text {
  std::string text;
  std::string mistake; ///< Why it could not be read; empty: it could.
};

file_text read_whole(const std::string& path) {
  const auto failed = [](int number) {
    const auto why = number == EISDIR ? "it is a directory" : make_error_code(net::from_errno(number)).message();
    return file_text{{}, "cannot be read: " + why};
  };
  const auto file = net::sys().open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return failed(errno);
  file_text read;
  std::array<char, 16'384> part;
  ssize_t count = 1;
  while (count != 0 && read.mistake.empty()) {
    count = net::sys().read(file, part.data(), part.size());
    if (count > 0)
      read.text.append(part.data(), static_cast<std::size_t>(count));
    else if (count < 0 && errno != EINTR)
      read = failed(errno);
    if (read.text.size() > file_bytes_max)
      read.mistake = "cannot be read: it has more than 1 MiB";
  }
  (void)net::sys().close(file);
  return read;
}

} // namespace

std::string to_string(const config_mistake& mistake) {
  auto text = net::printable(mistake.file);
  if (mistake.line > 0)
    text += ":" + std::to_string(mistake.line);
  if (!mistake.key.empty())
    text += ": " + mistake.key;
  return text + ": " + mistake.what;
}

std::vector<config_mistake> read_config_text(std::string_view text, const std::string& file, settings& to) {
  auto changed = to;
  auto mistakes = reading{file, changed}.read(text);
  if (mistakes.empty())
    to = std::move(changed);
  return mistakes;
}

std::vector<config_mistake> read_config_file(const std::string& path, settings& to) {
  const auto [text, mistake] = read_whole(path);
  if (!mistake.empty())
    return {{path, 0, {}, mistake}};
  return read_config_text(text, path, to);
}

} // namespace actnet
