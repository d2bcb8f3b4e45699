// Configuration files: every key in its spellings, every mistake with its line, and the file that shows them all.
#include "actnet/actors/config_file.hpp"

#include "actnet/actors/config_keys.hpp"

#include "support/baseline.hpp"
#include "support/catch.hpp"
#include "support/faulty_system_calls.hpp"

#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <set>

using namespace actnet;
using namespace actnet::test;
using namespace std::chrono_literals;

namespace {

const std::string default_file = ACTNET_SOURCE_DIR "/config/default.toml";

bool same(const settings& a, const settings& b) {
  return a.loops.count == b.loops.count && a.loops.turn_alarm == b.loops.turn_alarm && a.loops.time == b.loops.time &&
         !a.loops.make_backend == !b.loops.make_backend && a.drain_deadline == b.drain_deadline &&
         a.log_level == b.log_level && a.scheduler_threads == b.scheduler_threads && a.supervisor == b.supervisor &&
         a.listener == b.listener && a.client == b.client && a.datagram == b.datagram;
}

std::string all_of(const std::vector<config_mistake>& mistakes) {
  std::string text;
  for (const auto& each : mistakes)
    text += to_string(each) + "\n";
  return text;
}

/// What `text` makes of the defaults; a mistake ends the test.
settings read(std::string_view text) {
  settings made;
  const auto mistakes = read_config_text(text, "f", made);
  INFO(text << "\n" << all_of(mistakes));
  REQUIRE(mistakes.empty());
  return made;
}

std::string mistakes_in(std::string_view text) {
  settings made;
  const auto mistakes = all_of(read_config_text(text, "f", made));
  INFO(text);
  CHECK(same(made, settings{}) == true);
  return mistakes;
}

/// For what belongs to accepted and to other connections.
template <class F>
auto of_both(F change) {
  return [change](settings& s) {
    change(s.listener.connection);
    change(s.client.connection);
  };
}

struct change {
  std::string key;
  std::string value;
  std::function<void(settings&)> makes;
};

/// A value for each key that is not its default.
std::vector<change> changes() {
  using c = connection_options;
  return {
      {"loops.count", "3", [](settings& s) { s.loops.count = 3; }},
      {"loops.turn_alarm", "'1s'", [](settings& s) { s.loops.turn_alarm = 1s; }},
      {"program.drain_deadline", "'0s'", [](settings& s) { s.drain_deadline = 0s; }},
      {"program.restart_intensity", "7", [](settings& s) { s.supervisor.intensity = 7; }},
      {"program.restart_period", "'1m'", [](settings& s) { s.supervisor.period = 1min; }},
      {"program.scheduler_threads", "8", [](settings& s) { s.scheduler_threads = 8; }},
      {"program.log_level", "'warning'", [](settings& s) { s.log_level = net::log_level::warning; }},
      {"listener.backlog", "1", [](settings& s) { s.listener.backlog = 1; }},
      {"listener.max_connections", "100_000", [](settings& s) { s.listener.max_connections = 100'000; }},
      {"listener.accept_rate", "1_000", [](settings& s) { s.listener.accept_rate = 1'000; }},
      {"listener.max_per_address", "20", [](settings& s) { s.listener.max_per_address = 20; }},
      {"listener.alarm_threshold", "90_000", [](settings& s) { s.listener.connection_alarm.threshold = 90'000; }},
      {"listener.alarm_cooldown", "'5m'", [](settings& s) { s.listener.connection_alarm.cooldown = 5min; }},
      {"listener.shard", "'reuse_port'", [](settings& s) { s.listener.shard = shard::reuse_port; }},
      {"listener.reuse_address", "false", [](settings& s) { s.listener.reuse_address = false; }},
      {"listener.v6_only", "'on'", [](settings& s) { s.listener.v6_only = true; }},
      {"listener.path_mode", "'0660'", [](settings& s) { s.listener.path_mode = 0660; }},
      {"datagram.path_mode", "'700'", [](settings& s) { s.datagram.path_mode = 0700; }},
      {"listener.accept_pause", "'2m'", [](settings& s) { s.listener.accept_pause = 2min; }},
      {"connection.read_credit", "1", of_both([](c& o) { o.read_credit_bytes = 1; })},
      {"connection.write_low", "'1KiB'", of_both([](c& o) { o.write_low_bytes = 1'024; })},
      {"connection.write_high", "'1GiB'", of_both([](c& o) { o.write_high_bytes = 1 << 30; })},
      {"connection.when_slow", "'close'", of_both([](c& o) { o.when_slow = slow_peer::close; })},
      {"connection.handshake_deadline", "'6s'", of_both([](c& o) { o.handshake_deadline = 6s; })},
      {"connection.idle_timeout_server", "'7s'", [](settings& s) { s.listener.connection.idle_timeout = 7s; }},
      {"connection.idle_timeout_client", "'8s'", [](settings& s) { s.client.connection.idle_timeout = 8s; }},
      {"connection.close_timeout", "'9s'", of_both([](c& o) { o.close_timeout = 9s; })},
      {"connection.write_stall", "'10s'", of_both([](c& o) { o.write_stall = 10s; })},
      {"connection.credit_stall_warning", "'11s'", of_both([](c& o) { o.credit_stall_warning = 11s; })},
      {"connection.credit_stall_limit", "'12s'", of_both([](c& o) { o.credit_stall_limit = 12s; })},
      {"client.connect_deadline", "'13s'", [](settings& s) { s.client.deadline = 13s; }},
      {"datagram.read_credit", "'2KiB'", [](settings& s) { s.datagram.read_credit_bytes = 2'048; }},
      {"datagram.write_low", "'3KiB'", [](settings& s) { s.datagram.write_low_bytes = 3'072; }},
      {"datagram.write_high", "'4MiB'", [](settings& s) { s.datagram.write_high_bytes = 4 << 20; }},
      {"datagram.write_stall", "'14s'", [](settings& s) { s.datagram.write_stall = 14s; }},
  };
}

/// A file of a test's own, gone with it.
class file_with {
 public:
  explicit file_with(std::string_view text) {
    char path[] = "/tmp/actnet-config-XXXXXX";
    ::close(::mkstemp(path));
    path_ = path;
    std::ofstream{path_} << text;
  }
  ~file_with() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

} // namespace

TEST_CASE("each key changes its setting and nothing else", "[config_file]") {
  std::set<std::string> seen;
  for (const auto& [key, value, makes] : changes()) {
    settings expected;
    makes(expected);
    INFO(key);
    CHECK_FALSE(same(expected, settings{}));
    CHECK(same(read(key + " = " + value), expected));
    seen.insert(key);
  }
  for (const auto& key : detail::config_keys()) {
    INFO(key.path());
    CHECK(seen.count(key.path()) == 1);
  }
}

TEST_CASE("config/default.toml has every key, and each with its built-in default", "[config_file]") {
  std::set<std::string> written;
  std::string table;
  std::ifstream file{default_file};
  REQUIRE(file);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with('['))
      table = line.substr(1, line.find(']') - 1);
    else if (!line.empty() && !line.starts_with('#'))
      CHECK(written.insert(table + "." + line.substr(0, line.find(' '))).second);
  std::set<std::string> known;
  for (const auto& key : detail::config_keys())
    known.insert(key.path());
  CHECK(written == known);

  settings made;
  for (const auto& change : changes())
    change.makes(made);
  CHECK(all_of(read_config_file(default_file, made)).empty());
  CHECK(same(made, settings{}));
}

TEST_CASE("keys may be dotted or in tables, values in every spelling of TOML", "[config_file]") {
  settings expected;
  expected.loops.count = 2;
  expected.loops.turn_alarm = 1'500ms;
  for (const auto text : {
           "loops.count = 2\nloops.turn_alarm = \"1500ms\"",
           "[loops]\ncount = 2\nturn_alarm = \"1500ms\"\n",
           "loops = { count = 2, turn_alarm = \"1500ms\" }",
           "\"loops\".'count' = 0x2\r\nloops . turn_alarm = '1500ms'\r\n",
           "[ loops ] # how many\ncount = +2 # two\nturn_alarm = \"\"\"1500ms\"\"\"",
           "\xef\xbb\xbf[client]\n[loops]\n\tcount=0b10\n\tturn_alarm=\"\\u0031500ms\"\n[datagram]",
       })
    CHECK(same(read(text), expected));
  for (const auto text : {"", "\n\n", "# nothing", "[loops]\n[connection]\n[listener]", "connection = {}"})
    CHECK(same(read(text), settings{}));
}

TEST_CASE("times and sizes may be written in any of their units", "[config_file]") {
  for (const auto& [text, time] : {std::pair{"'60000ms'", 60'000ms},
                                   {"'60s'", 60'000ms},
                                   {"'1m'", 60'000ms},
                                   {"'1ms'", 1ms},
                                   {"'720h'", 720h},
                                   {"'off'", 0ms}})
    CHECK(read("client.connect_deadline = " + std::string{text}).client.deadline == time);
  for (const auto& [text, bytes] : {std::pair{"1048576", 1 << 20},
                                    {"1_048_576", 1 << 20},
                                    {"'1048576B'", 1 << 20},
                                    {"'1024KiB'", 1 << 20},
                                    {"'1MiB'", 1 << 20},
                                    {"'1GiB'", 1 << 30}})
    CHECK(read("datagram.read_credit = " + std::string{text}).datagram.read_credit_bytes ==
          static_cast<std::uint32_t>(bytes));
  const auto off = read("listener.v6_only = 'off'").listener.v6_only;
  CHECK((off && !*off));
}

TEST_CASE("a time that is off is no limit to another", "[config_file]") {
  read("connection.credit_stall_limit = 'off'\nconnection.credit_stall_warning = '10m'");
  read("connection.credit_stall_limit = '1s'\nconnection.credit_stall_warning = 'off'");
  read("connection.credit_stall_limit = '1s'\nconnection.credit_stall_warning = '1s'");
  read("connection.write_low = 1000\nconnection.write_high = 1000");
}

TEST_CASE("every mistake is told with its line, what was found and what is expected", "[config_file]") {
  struct row {
    std::string_view text;
    std::string_view says;
  };
  const row rows[] = {
      // what is there but unknown
      {"[loops]\ncounts = 1", "f:2: loops.counts: unknown key, the nearest is loops.count"},
      {"connection.idle_timeout = '5s'",
       "f:1: connection.idle_timeout: unknown key, the nearest is connection.idle_timeout_server"},
      {"connection.Write_Low = 5", "f:1: connection.Write_Low: unknown key, the nearest is connection.write_low"},
      {"[datagram]\nwritelow = 5", "f:2: datagram.writelow: unknown key, the nearest is datagram.write_low"},
      {"[listener]\n\n\nwrite_high = 5", "f:4: listener.write_high: unknown key, the nearest is connection.write_high"},
      {"drain_deadline = '5s'", "f:1: drain_deadline: unknown key, the nearest is program.drain_deadline"},
      {"[client]\nx = 1", "f:2: client.x: unknown key, those of client are connect_deadline"},
      {"pony = true", "f:1: pony: unknown key, the tables are loops, program, listener, connection, client, datagram"},
      {"[conection]\nwrite_low = 1\nwrite_high = 2", "f:1: conection: unknown table, the nearest is connection"},
      {"[listeners]", "f:1: listeners: unknown table, the nearest is listener"},
      {"[echo]\nport = 1",
       "f:1: echo: unknown table, the tables are loops, program, listener, connection, client, datagram"},
      {"[[loops]]\ncount = 1", "f:1: loops: found a list, expected a table"},
      {"loops = 4", "f:1: loops: found 4, expected a table"},
      {"[connection.server]\nidle_timeout = '5s'",
       "f:1: connection.server: unknown key, those of connection are read_credit, write_low, write_high, when_slow, "
       "handshake_deadline, idle_timeout_server, idle_timeout_client, close_timeout, write_stall, "
       "credit_stall_warning, credit_stall_limit"},
      {"[client]\n\"connect_deadline \" = '5s'",
       "f:2: client.\"connect_deadline \": unknown key, the nearest is client.connect_deadline"},
      {"[client]\n\"a\\nb\" = '5s'", "f:2: client.\"a\\x0ab\": unknown key, those of client are connect_deadline"},
      // numbers
      {"loops.count = -1", "f:1: loops.count: found -1, expected a whole number from 0 to 1024"},
      {"loops.count = 1025", "f:1: loops.count: found 1025, expected a whole number from 0 to 1024"},
      {"loops.count = 4294967297", "f:1: loops.count: found 4294967297, expected a whole number from 0 to 1024"},
      {"loops.count = 1.0", "f:1: loops.count: found a number with a fraction, expected a whole number from 0 to 1024"},
      {"loops.count = '4'", "f:1: loops.count: found \"4\", expected a whole number from 0 to 1024"},
      {"loops.count = [1]", "f:1: loops.count: found a list, expected a whole number from 0 to 1024"},
      {"[loops.count]", "f:1: loops.count: found a table, expected a whole number from 0 to 1024"},
      {"loops.count = 2024-02-29",
       "f:1: loops.count: found a date or a time of day, expected a whole number from 0 to 1024"},
      {"listener.backlog = 0", "f:1: listener.backlog: found 0, expected a whole number from 1 to 65535"},
      {"listener.max_connections = 100000001",
       "f:1: listener.max_connections: found 100000001, expected a whole number from 0 to 100000000"},
      // flags and choices
      {"listener.reuse_address = 'yes'", "f:1: listener.reuse_address: found \"yes\", expected true or false"},
      {"listener.reuse_address = 1", "f:1: listener.reuse_address: found 1, expected true or false"},
      {"listener.shard = 'random'",
       "f:1: listener.shard: found \"random\", expected \"round_robin\" or \"reuse_port\""},
      {"listener.v6_only = true", "f:1: listener.v6_only: found true, expected \"system\", \"on\" or \"off\""},
      {"program.log_level = 'Debug'",
       "f:1: program.log_level: found \"Debug\", expected \"debug\", \"info\", \"warning\", \"error\" or \"off\""},
      {"connection.when_slow = ''",
       "f:1: connection.when_slow: found \"\", expected \"usual\", \"pause\", \"refuse\" or \"close\""},
      {"connection.when_slow = \"a\\u001b[31m\\nb\"",
       "f:1: connection.when_slow: found \"a\\x1b[31m\\x0ab\", expected \"usual\", \"pause\", \"refuse\" or \"close\""},
      // permissions
      {"listener.path_mode = 0o660",
       "f:1: listener.path_mode: found 432, expected permissions from \"000\" to \"777\", or \"umask\""},
      {"listener.path_mode = '1660'",
       "f:1: listener.path_mode: found \"1660\", expected permissions from \"000\" to \"777\", or \"umask\""},
      {"datagram.path_mode = '680'",
       "f:1: datagram.path_mode: found \"680\", expected permissions from \"000\" to \"777\", or \"umask\""},
      {"datagram.path_mode = '60'",
       "f:1: datagram.path_mode: found \"60\", expected permissions from \"000\" to \"777\", or \"umask\""},
      // times
      {"client.connect_deadline = 5",
       "f:1: client.connect_deadline: found 5, expected a time from \"1ms\" to \"720h\", or \"off\""},
      {"client.connect_deadline = false",
       "f:1: client.connect_deadline: found false, expected a time from \"1ms\" to \"720h\", or \"off\""},
      {"client.connect_deadline = '0s'",
       "f:1: client.connect_deadline: found \"0s\", expected a time from \"1ms\" to \"720h\", or \"off\""},
      {"client.connect_deadline = '5'",
       "f:1: client.connect_deadline: found \"5\", expected a time from \"1ms\" to \"720h\", or \"off\""},
      {"client.connect_deadline = '5 s'",
       "f:1: client.connect_deadline: found \"5 s\", expected a time from \"1ms\" to \"720h\", or \"off\""},
      {"client.connect_deadline = 's'",
       "f:1: client.connect_deadline: found \"s\", expected a time from \"1ms\" to \"720h\", or \"off\""},
      {"client.connect_deadline = '-5s'",
       "f:1: client.connect_deadline: found \"-5s\", expected a time from \"1ms\" to \"720h\", or \"off\""},
      {"client.connect_deadline = '1.5s'",
       "f:1: client.connect_deadline: found \"1.5s\", expected a time from \"1ms\" to \"720h\", or \"off\""},
      {"client.connect_deadline = '721h'",
       "f:1: client.connect_deadline: found \"721h\", expected a time from \"1ms\" to \"720h\", or \"off\""},
      {"client.connect_deadline = '5124095576030432h'", // 2 to the 64th milliseconds and a little
       "f:1: client.connect_deadline: found \"5124095576030432h\", expected a time from \"1ms\" to \"720h\", or "
       "\"off\""},
      {"client.connect_deadline = '99999999999999999999s'",
       "f:1: client.connect_deadline: found \"99999999999999999999s\", expected a time from \"1ms\" to \"720h\", or "
       "\"off\""},
      {"program.drain_deadline = 'off'",
       "f:1: program.drain_deadline: found \"off\", expected a time from \"0ms\" to \"720h\""},
      {"listener.accept_pause = '0ms'",
       "f:1: listener.accept_pause: found \"0ms\", expected a time from \"1ms\" to \"720h\""},
      // sizes
      {"connection.read_credit = 0", "f:1: connection.read_credit: found 0, expected a size from \"1B\" to \"1GiB\""},
      {"connection.read_credit = '0KiB'",
       "f:1: connection.read_credit: found \"0KiB\", expected a size from \"1B\" to \"1GiB\""},
      {"connection.read_credit = '2GiB'",
       "f:1: connection.read_credit: found \"2GiB\", expected a size from \"1B\" to \"1GiB\""},
      {"connection.read_credit = '256KB'",
       "f:1: connection.read_credit: found \"256KB\", expected a size from \"1B\" to \"1GiB\""},
      {"connection.read_credit = '65536'",
       "f:1: connection.read_credit: found \"65536\", expected a size from \"1B\" to \"1GiB\""},
      {"connection.read_credit = 'off'",
       "f:1: connection.read_credit: found \"off\", expected a size from \"1B\" to \"1GiB\""},
      {"datagram.write_high = -1", "f:1: datagram.write_high: found -1, expected a size from \"1B\" to \"1GiB\""},
      {"datagram.write_low = '17179869185GiB'", // 2 to the 64th bytes and 1 GiB
       "f:1: datagram.write_low: found \"17179869185GiB\", expected a size from \"0B\" to \"1GiB\""},
      // what does not go together
      {"connection.write_low = '2MiB'",
       "f:1: connection.write_low: found 2MiB, expected no more than connection.write_high, which is 1MiB"},
      {"[connection]\nwrite_high = 1000",
       "f:2: connection.write_high: found 1000B, expected no less than connection.write_low, which is 64KiB"},
      {"[connection]\nwrite_high = 10\nwrite_low = 11",
       "f:3: connection.write_low: found 11B, expected no more than connection.write_high, which is 10B"},
      {"[datagram]\nwrite_low = 11\nwrite_high = 10",
       "f:2: datagram.write_low: found 11B, expected no more than datagram.write_high, which is 10B"},
      {"connection.credit_stall_limit = '4s'", "f:1: connection.credit_stall_limit: found 4s, expected no less than "
                                               "connection.credit_stall_warning, which is 5s"},
      {"connection.credit_stall_warning = '61s'", "f:1: connection.credit_stall_warning: found 61s, expected no more "
                                                  "than connection.credit_stall_limit, which is 1m"},
  };
  for (const auto& [text, says] : rows)
    CHECK(mistakes_in(text) == std::string{says} + "\n");
}

TEST_CASE("what is no TOML is told with its line", "[config_file]") {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"[loops\n", "f:1: "},
      {"\nloops.count =\n", "f:2: "},
      {"client.connect_deadline = 5s", "f:1: "},
      {"client.connect_deadline = \"5s", "f:1: "},
      {"loops.count = 1\n\nloops.count = 2", "f:3: "},
      {"[loops]\ncount = 1\n[loops]\n", "f:3: "},
      {"loops.count = 1\n[loops]\n", "f:2: "},
      {"\"a\\nb\" = 1\n\"a\\nb\" = 1", "f:2: "}, // a line feed in what it quotes
      {"loops.count = 1\nloops.turn_alarm = '1s' # \xff", "f:2: "},
      {"loops.count = 99999999999999999999", "f:1: "},
      {"loops.count = 1 loops.turn_alarm = '1s'", "f:1: "},
      {"= 1", "f:1: "},
      {"[.]", "f:1: "},
      {"loops.count = 1\n[loops.\n]", "f:2: "},
  };
  for (const auto& [text, begins] : rows) {
    const auto said = mistakes_in(text);
    INFO(said);
    CHECK(said.starts_with(begins));
    CHECK(said.size() > begins.size() + 10);
    CHECK(said.find('\n') == said.size() - 1);
  }
}

TEST_CASE("all mistakes of a file are told, in the order of its lines", "[config_file]") {
  CHECK(mistakes_in("[program]\n"
                    "log_level = 5\n"
                    "[connection]\n"
                    "write_low = '2MiB'\n"
                    "write_high = '1XB'\n" // no word of what might follow from it
                    "read_credit = 'lots'\n"
                    "[datagram]\n"
                    "write_high = '1KiB'\n"
                    "[cleint]\n"
                    "[client]\n"
                    "connect_deadline = '5s'\n") ==
        "f:2: program.log_level: found 5, expected \"debug\", \"info\", \"warning\", \"error\" or \"off\"\n"
        "f:5: connection.write_high: found \"1XB\", expected a size from \"1B\" to \"1GiB\"\n"
        "f:6: connection.read_credit: found \"lots\", expected a size from \"1B\" to \"1GiB\"\n"
        "f:8: datagram.write_high: found 1KiB, expected no less than datagram.write_low, which is 64KiB\n"
        "f:9: cleint: unknown table, the nearest is client\n");
}

TEST_CASE("a relation that the program's own settings break is not the file's mistake", "[config_file]") {
  settings made;
  made.client.connection.write_low_bytes = 4 << 20;
  CHECK(read_config_text("loops.count = 2", "f", made).empty());
  CHECK(made.loops.count == 2);
  CHECK(all_of(read_config_text("connection.write_high = '2MiB'", "f", made)) ==
        "f:1: connection.write_high: found 2MiB, expected no less than connection.write_low, which is 4MiB\n");
}

TEST_CASE("however long a name or a value is, the mistake is a short line", "[config_file]") {
  const std::string name(900, 'n');
  for (const auto& text :
       {name + " = 1", "[" + name + "]", "loops." + name + " = 1", "program.log_level = '" + name + "'"}) {
    const auto said = mistakes_in(text);
    CHECK(said.size() < 500);
    CHECK(said.find('\n') == said.size() - 1);
  }
  CHECK(mistakes_in("#\n" + std::string(1'001, '#')) == "f:2: the line has more than 1000 bytes\n");
  CHECK(mistakes_in(std::string(1'000, '#') + "\n" + std::string(1'000, '#')).empty());
}

TEST_CASE("a file of keys within keys without end is a mistake like others", "[config_file]") {
  const auto repeated = [](std::string_view what, int count) {
    std::string text;
    while (count-- > 0)
      text += what;
    return text;
  };
  for (const auto& text :
       {repeated("a.", 300'000) + "a = 1", "[" + repeated("a.", 300'000) + "a]", "a=" + repeated("[", 900),
        "a=" + repeated("{a=", 300), repeated("a.", 450) + "a=" + repeated("[\n{" + repeated("a.", 450) + "a=", 900)}) {
    const auto said = mistakes_in(text);
    CHECK(said.starts_with("f:"));
    CHECK(said.find('\n') == said.size() - 1);
  }
  const auto deep = "a = [\n{" + repeated("a.", 450) + "a = [\n{" + repeated("a.", 450) + "a = [\n{" +
                    repeated("a.", 450) + "a = 1}]}]}]";
  CHECK(mistakes_in(deep).starts_with("f:1: a: unknown key"));
}

TEST_CASE("a file that cannot be read is a mistake of its own", "[config_file]") {
  const baseline before;
  settings made;
  CHECK(all_of(read_config_file("/nowhere/at.toml", made)) ==
        "/nowhere/at.toml: cannot be read: no such file or directory\n");
  CHECK(all_of(read_config_file("", made)) == ": cannot be read: no such file or directory\n");
  CHECK(all_of(read_config_file("/tmp", made)) == "/tmp: cannot be read: it is a directory\n");
  CHECK(all_of(read_config_file("/dev/zero", made)) == "/dev/zero: cannot be read: it has more than 1 MiB\n");
  const file_with text{"loops.count = 2"};
  CHECK(all_of(read_config_file(text.path() + "/x", made)) ==
        text.path() + "/x: cannot be read: no such file or directory\n");
  CHECK(same(made, settings{}));
}

TEST_CASE("reading a file outlasts interruptions and short reads, and tells of failures", "[config_file]") {
  const baseline before;
  const file_with text{"loops.count = 2\n[connection]\nwrite_low = 5\nwritehigh = 4"};
  faulty_system_calls kernel;
  const net::replaced_system_calls in_force{kernel};
  settings made;
  SECTION("in pieces") {
    kernel.interrupt_every_second_call();
    kernel.limit_read(3);
    CHECK(all_of(read_config_file(text.path(), made)) ==
          text.path() + ":4: connection.writehigh: unknown key, the nearest is connection.write_high\n");
    CHECK(kernel.injected(call::read) > 10);
  }
  SECTION("a broken disk") {
    kernel.fail(call::read, EIO);
    CHECK(all_of(read_config_file(text.path(), made)) == text.path() + ": cannot be read: input/output error\n");
  }
  SECTION("no descriptors") {
    kernel.fail(call::open, EMFILE);
    CHECK(all_of(read_config_file(text.path(), made)) == text.path() + ": cannot be read: too many open files\n");
  }
  CHECK(kernel.open_descriptors().empty());
  CHECK(kernel.violations().empty());
}
