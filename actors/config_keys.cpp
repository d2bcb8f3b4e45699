#include "actnet/actors/config_keys.hpp"

#include "actnet/net/address/parse_error.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <type_traits>

namespace actnet::detail {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// -- the settings that keys change -------------------------------------------------------------------

/// The member of a member: `at<&settings::loops, &loops_options::count>(s)` is `s.loops.count`.
template <auto... Path>
auto& at(auto& s) {
  return (s.*....*Path);
}

template <auto... Path, class Value>
void put(settings& s, Value value) {
  auto& setting = at<Path...>(s);
  setting = static_cast<std::remove_reference_t<decltype(setting)>>(value);
}

/// Of accepted connections and of all others.
template <auto Member, class Value>
void put_both(settings& s, Value value) {
  put<&settings::listener, &listen_options::connection, Member>(s, value);
  put<&settings::client, &connect_options::connection, Member>(s, value);
}

void put_v6_only(settings& s, std::size_t word) {
  s.listener.v6_only = word == 0 ? std::nullopt : std::optional{word == 1};
}

// -- the keys ----------------------------------------------------------------------------------------

constexpr auto longest = std::chrono::duration_cast<milliseconds>(720h);
constexpr std::uint32_t largest = 1024 * 1024 * 1024;

// In the order of the enumerators.
constexpr std::string_view log_levels[]{"debug", "info", "warning", "error", "off"};
constexpr std::string_view shards[]{"round_robin", "reuse_port"};
constexpr std::string_view slow_peers[]{"usual", "pause", "refuse", "close"};
constexpr std::string_view v6_only_words[]{"system", "on", "off"};

constexpr time_key timeout(void (*where)(settings&, milliseconds)) {
  return {1ms, longest, true, where};
}

constexpr size_key room(void (*where)(settings&, std::uint32_t), std::uint32_t least = 1) {
  return {least, largest, where};
}

// clang-format off
constexpr config_key keys[]{
    {"loops", "count", number_key{0, 1024, put<&settings::loops, &loops_options::count>}},
    {"loops", "turn_alarm", timeout(put<&settings::loops, &loops_options::turn_alarm>)},

    {"program", "drain_deadline", time_key{0ms, longest, false, put<&settings::drain_deadline>}},
    {"program", "restart_intensity", number_key{0, 1'000'000, put<&settings::supervisor, &supervisor_options::intensity>}},
    {"program", "restart_period", time_key{1ms, longest, false, put<&settings::supervisor, &supervisor_options::period>}},
    {"program", "scheduler_threads", number_key{0, 1024, put<&settings::scheduler_threads>}},
    {"program", "log_level", choice_key{log_levels, put<&settings::log_level>}},

    {"listener", "backlog", number_key{1, 65'535, put<&settings::listener, &listen_options::backlog>}},
    {"listener", "max_connections", number_key{0, 100'000'000, put<&settings::listener, &listen_options::max_connections>}},
    {"listener", "accept_rate", number_key{0, 1'000'000, put<&settings::listener, &listen_options::accept_rate>}},
    {"listener", "max_per_address", number_key{0, 100'000'000, put<&settings::listener, &listen_options::max_per_address>}},
    {"listener", "alarm_threshold", number_key{0, 100'000'000, put<&settings::listener, &listen_options::connection_alarm, &connection_alarm::threshold>}},
    {"listener", "alarm_cooldown", time_key{1ms, longest, false, put<&settings::listener, &listen_options::connection_alarm, &connection_alarm::cooldown>}},
    {"listener", "shard", choice_key{shards, put<&settings::listener, &listen_options::shard>}},
    {"listener", "reuse_address", flag_key{put<&settings::listener, &listen_options::reuse_address>}},
    {"listener", "v6_only", choice_key{v6_only_words, put_v6_only}},
    {"listener", "path_mode", mode_key{put<&settings::listener, &listen_options::path_mode>}},
    {"listener", "accept_pause", time_key{1ms, longest, false, put<&settings::listener, &listen_options::accept_pause>}},

    {"connection", "read_credit", room(put_both<&connection_options::read_credit_bytes>)},
    {"connection", "write_low", room(put_both<&connection_options::write_low_bytes>, 0)},
    {"connection", "write_high", room(put_both<&connection_options::write_high_bytes>)},
    {"connection", "when_slow", choice_key{slow_peers, put_both<&connection_options::when_slow>}},
    {"connection", "handshake_deadline", timeout(put_both<&connection_options::handshake_deadline>)},
    {"connection", "idle_timeout_server", timeout(put<&settings::listener, &listen_options::connection, &connection_options::idle_timeout>)},
    {"connection", "idle_timeout_client", timeout(put<&settings::client, &connect_options::connection, &connection_options::idle_timeout>)},
    {"connection", "close_timeout", timeout(put_both<&connection_options::close_timeout>)},
    {"connection", "write_stall", timeout(put_both<&connection_options::write_stall>)},
    {"connection", "credit_stall_warning", timeout(put_both<&connection_options::credit_stall_warning>)},
    {"connection", "credit_stall_limit", timeout(put_both<&connection_options::credit_stall_limit>)},

    {"client", "connect_deadline", timeout(put<&settings::client, &connect_options::deadline>)},

    {"datagram", "read_credit", room(put<&settings::datagram, &bind_options::read_credit_bytes>)},
    {"datagram", "write_low", room(put<&settings::datagram, &bind_options::write_low_bytes>, 0)},
    {"datagram", "write_high", room(put<&settings::datagram, &bind_options::write_high_bytes>)},
    {"datagram", "write_stall", timeout(put<&settings::datagram, &bind_options::write_stall>)},
    {"datagram", "path_mode", mode_key{put<&settings::datagram, &bind_options::path_mode>}},
};
// clang-format on

// -- units -------------------------------------------------------------------------------------------

struct unit {
  std::string_view name;
  std::int64_t size;
};

// The smallest first, and no name ends with one that comes later.
constexpr unit time_units[]{{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}};
constexpr unit size_units[]{{"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}, {"B", 1}};

std::optional<std::int64_t> parse_with_unit(std::string_view text, std::span<const unit> units) {
  for (const auto& [name, size] : units) {
    if (!text.ends_with(name))
      continue;
    const auto digits = text.substr(0, text.size() - name.size());
    std::uint64_t count = 0; // takes no sign
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (failed != std::errc{} || end != digits.data() + digits.size() ||
        count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / size))
      return std::nullopt;
    return static_cast<std::int64_t>(count) * size;
  }
  return std::nullopt;
}

/// In the largest unit of which it is a multiple.
std::string with_unit(std::int64_t value, std::span<const unit> units) {
  unit best{};
  for (const auto& each : units)
    if (value % each.size == 0 && each.size > best.size && (value >= each.size || each.size == 1))
      best = each;
  return std::to_string(value / best.size) + std::string{best.name};
}

std::string shown_time(std::int64_t value) {
  return with_unit(value, time_units);
}

std::string shown_size(std::int64_t value) {
  return with_unit(value, size_units);
}

// -- taking a value ----------------------------------------------------------------------------------

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`.
std::string one_of(std::span<const std::string_view> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "\"" : i + 1 == words.size() ? " or \"" : ", \"") + std::string{words[i]} + "\"";
  return text;
}

/// Each returns whether `value` is one that the key takes, and puts it where it belongs.
struct taker {
  const found_value& value;
  settings& to;

  bool operator()(const time_key& key) const {
    const auto text = std::get_if<std::string>(&value);
    if (!text)
      return false;
    if (key.or_off && *text == "off") {
      key.put(to, 0ms);
      return true;
    }
    const auto count = parse_with_unit(*text, time_units);
    if (!count || *count < key.least.count() || *count > key.most.count())
      return false;
    key.put(to, milliseconds{*count});
    return true;
  }

  bool operator()(const size_key& key) const {
    if (const auto text = std::get_if<std::string>(&value))
      return put_number(key, parse_with_unit(*text, size_units));
    return (*this)(number_key{key.least, key.most, key.put});
  }

  bool operator()(const number_key& key) const {
    const auto number = std::get_if<std::int64_t>(&value);
    return put_number(key, number ? std::optional{*number} : std::nullopt);
  }

  bool operator()(const flag_key& key) const {
    const auto flag = std::get_if<bool>(&value);
    if (flag)
      key.put(to, *flag);
    return flag != nullptr;
  }

  bool operator()(const choice_key& key) const {
    const auto text = std::get_if<std::string>(&value);
    const auto word = text ? std::ranges::find(key.words, *text) : key.words.end();
    if (word == key.words.end())
      return false;
    key.put(to, static_cast<std::size_t>(word - key.words.begin()));
    return true;
  }

  bool operator()(const mode_key& key) const {
    const auto text = std::get_if<std::string>(&value);
    if (!text || (*text != "umask" && !is_mode(*text)))
      return false;
    key.put(to, is_mode(*text) ? std::optional{static_cast<mode_t>(std::stoul(*text, nullptr, 8))} : std::nullopt);
    return true;
  }

  static bool is_mode(std::string_view text) {
    if (text.size() == 4 && text.starts_with('0'))
      text.remove_prefix(1);
    return text.size() == 3 && text.find_first_not_of("01234567") == text.npos;
  }

  bool put_number(const auto& key, std::optional<std::int64_t> number) const {
    if (!number || *number < key.least || *number > key.most)
      return false;
    key.put(to, static_cast<std::uint32_t>(*number));
    return true;
  }
};

/// What a key takes, for the end of "found …, expected".
struct describer {
  std::string operator()(const time_key& key) const {
    return "a time from \"" + shown_time(key.least.count()) + "\" to \"" + shown_time(key.most.count()) + "\"" +
           (key.or_off ? ", or \"off\"" : "");
  }
  std::string operator()(const size_key& key) const {
    return "a size from \"" + shown_size(key.least) + "\" to \"" + shown_size(key.most) + "\"";
  }
  std::string operator()(const number_key& key) const {
    return "a whole number from " + std::to_string(key.least) + " to " + std::to_string(key.most);
  }
  std::string operator()(const flag_key&) const { return "true or false"; }
  std::string operator()(const choice_key& key) const { return one_of(key.words); }
  std::string operator()(const mode_key&) const { return "permissions from \"000\" to \"777\", or \"umask\""; }
};

// -- what belongs together ---------------------------------------------------------------------------

template <auto... Path>
std::int64_t number(const settings& s) {
  const auto& setting = at<Path...>(s);
  if constexpr (requires { setting.count(); })
    return setting.count();
  else
    return setting;
}

template <auto Member>
std::int64_t accepted(const settings& s) {
  return number<&settings::listener, &listen_options::connection, Member>(s);
}

template <auto Member>
std::int64_t others(const settings& s) {
  return number<&settings::client, &connect_options::connection, Member>(s);
}

// clang-format off
constexpr config_relation relations[]{
    {"connection.write_low", "connection.write_high",
     accepted<&connection_options::write_low_bytes>, accepted<&connection_options::write_high_bytes>, shown_size, false},
    {"connection.write_low", "connection.write_high",
     others<&connection_options::write_low_bytes>, others<&connection_options::write_high_bytes>, shown_size, false},
    {"connection.credit_stall_warning", "connection.credit_stall_limit",
     accepted<&connection_options::credit_stall_warning>, accepted<&connection_options::credit_stall_limit>, shown_time, true},
    {"connection.credit_stall_warning", "connection.credit_stall_limit",
     others<&connection_options::credit_stall_warning>, others<&connection_options::credit_stall_limit>, shown_time, true},
    {"datagram.write_low", "datagram.write_high",
     number<&settings::datagram, &bind_options::write_low_bytes>, number<&settings::datagram, &bind_options::write_high_bytes>, shown_size, false},
};
// clang-format on

} // namespace

std::string to_text(const found_value& value) {
  if (const auto text = std::get_if<std::string>(&value))
    return "\"" + net::printable(*text) + "\"";
  if (const auto number = std::get_if<std::int64_t>(&value))
    return std::to_string(*number);
  if (const auto flag = std::get_if<bool>(&value))
    return *flag ? "true" : "false";
  return std::string{std::get<odd_value>(value).kind};
}

std::span<const config_key> config_keys() {
  return keys;
}

std::span<const config_relation> config_relations() {
  return relations;
}

std::optional<std::string> apply(const config_key& key, const found_value& value, settings& to) {
  if (std::visit(taker{value, to}, key.takes))
    return std::nullopt;
  return "found " + to_text(value) + ", expected " + std::visit(describer{}, key.takes);
}

} // namespace actnet::detail
