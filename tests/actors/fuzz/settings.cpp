// Configuration files made of lines of default.toml with random damage: each is read, or its mistakes are told in plain
// lines and nothing has changed. And damaged words of command lines.
#include "support/fuzzing.hpp"

#include "actnet/actors/config_file.hpp"
#include "actnet/net/address/endpoint.hpp"
#include "actnet/net/codec/framing.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

using namespace actnet;
using namespace actnet::test;
using namespace std::string_view_literals;

namespace {

std::vector<std::string> lines_of_default_file() {
  std::ifstream file{ACTNET_SOURCE_DIR "/config/default.toml"};
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line.front() != '#')
      lines.push_back(line + '\n');
  return lines;
}

constexpr std::string_view odd_pieces[] = {"[",
                                           "]",
                                           "[[",
                                           "]]",
                                           "{",
                                           "}",
                                           "=",
                                           ".",
                                           "\"",
                                           "'''",
                                           "\"\"\"",
                                           "#",
                                           "\\u",
                                           "\r",
                                           "\n",
                                           "\t",
                                           ",",
                                           "inf",
                                           "nan",
                                           "-",
                                           "+",
                                           "0x",
                                           "__",
                                           "'",
                                           "1e400",
                                           "\xef\xbb\xbf",
                                           "\xff",
                                           "\0"sv,
                                           "true",
                                           "false",
                                           "1_000",
                                           "0b1",
                                           "\\U0010FFFF",
                                           "a.b.c.d.e.f.g.h.i.j",
                                           "9223372036854775808",
                                           "-9223372036854775808",
                                           "1979-05-27T07:32:00Z",
                                           "07:32:00",
                                           "[a.b]",
                                           "x={y={z=[[[[[[[[[]]]]]]]]]}}",
                                           "\"5m\"",
                                           "\"1 GiB\""};

void damage(std::string& text, chance& by) {
  const auto at = by.below(static_cast<unsigned>(text.size()) + 1);
  const auto odd = odd_pieces[by.below(std::size(odd_pieces))];
  switch (by.below(5)) {
  case 0: text.insert(at, odd); break;
  case 1:
    if (at < text.size())
      text[at] = static_cast<char>(by.any());
    break;
  case 2: text.erase(at, by.below(10) + 1); break;
  case 3:
    for (auto left = by.below(300); left > 0; --left)
      text.insert(at, odd);
    break;
  default: text.insert(at, std::string{text, at, by.below(40)}); break;
  }
}

bool same_settings(const settings& a, const settings& b) {
  return a.loops.count == b.loops.count && a.loops.turn_alarm == b.loops.turn_alarm &&
         a.drain_deadline == b.drain_deadline && a.log_level == b.log_level &&
         a.scheduler_threads == b.scheduler_threads && a.supervisor == b.supervisor && a.listener == b.listener &&
         a.client == b.client && a.datagram == b.datagram;
}

/// Empty: nothing.
std::string wrong_in_reading(const std::string& text) {
  settings made;
  const auto mistakes = read_config_text(text, "f", made);
  const auto shown = ", for the text\n" + text;
  if (!mistakes.empty() && !same_settings(made, {}))
    return "settings of a file with mistakes" + shown;
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  for (const auto& each : mistakes) {
    const auto said = to_string(each);
    if (std::any_of(said.begin(), said.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
      return "a control byte in: " + said + shown;
    if (each.line > lines)
      return "a line that is not there: " + said + shown;
  }
  return {};
}

/// The same for what command lines have: endpoints and frame formats.
std::string wrong_in_word(const std::string& word) {
  if (const auto read = net::endpoint::parse(word))
    if (const auto again = net::endpoint::parse(read->to_string()); !again || *again != *read)
      return "not the same endpoint again: " + word;
  if (const auto read = net::framing::parse(word))
    if (const auto again = net::framing::from_text(read->to_text()); !again || *again != *read)
      return "not the same format again: " + word;
  return {};
}

constexpr std::string_view words[] = {
    "127.0.0.1:80",     "[::1]:80",   "[fe80::1%lo]:80", "udp://[::]:0", "localhost:9",
    "unix:/run/x.sock", "unix:@name", "unixgram:./@x",   "line",         "delimiter:2d2d",
    "fixed:12",         "pkg3",       "u16le",           "varint"};

} // namespace

TEST_CASE("damaged endpoints and frame formats are refused, or are the same when they are read again", "[fuzz]") {
  for_each_seed(20'000, [](unsigned seed) {
    chance by{seed};
    std::string word{words[by.below(std::size(words))]};
    for (auto left = by.below(4); left > 0; --left)
      damage(word, by);
    return wrong_in_word(word);
  });
}

TEST_CASE("a damaged configuration file is read, or its mistakes are told and nothing has changed", "[fuzz]") {
  const auto lines = lines_of_default_file();
  REQUIRE(!lines.empty());
  for_each_seed(4'000, [&](unsigned seed) {
    chance by{seed};
    std::string text;
    for (auto left = by.below(6) + 1; left > 0; --left)
      text += lines[by.below(static_cast<unsigned>(lines.size()))];
    for (auto left = by.below(8); left > 0; --left)
      damage(text, by);
    return wrong_in_reading(text);
  });
}
