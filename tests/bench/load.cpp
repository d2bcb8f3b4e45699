// The load generator: one thread that talks to an echo server on 127.0.0.1 and prints one JSON object of figures.
// It knows nothing of actnet, so that it can measure any server; `compare.py` drives it.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "load_support.hpp"
#include "load_tcp.hpp"
#include "load_udp.hpp"

namespace actnet::bench {
namespace {

struct mode {
  std::string_view name;
  void (*run)(const options&, report&);
};

constexpr std::array modes{mode{"echo", run_echo},    mode{"stream", run_stream}, mode{"churn", run_churn},
                           mode{"idle", run_idle},    mode{"udp", run_udp},       mode{"udpblast", run_udpblast},
                           mode{"rounds", run_rounds}};

[[noreturn]] void usage() {
  std::fputs(
      "usage: load --mode=echo|stream|churn|idle|udp|udpblast|rounds --port=N|--unix=PATH\n"
      "            [--connections=N] [--depth=N]\n"
      "            [--size=BYTES] [--seconds=S] [--warm-up=S] [--server=PID] [--spin=0|1]\n"
      "            [--rounds=N] [--empty=N] [--fresh=0|1] [--upstream=PID]\n"
      "Ports are of 127.0.0.1. A server's CPU time per operation is reported if its process is named; idle and rounds\n"
      "need it. rounds takes no time but a number of rounds, with requests and then empty, in lock step with the "
      "server.\n",
      stderr);
  std::exit(2);
}

template <class Number>
Number parse_number(std::string_view text, Number least, Number most) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= least && value <= most))
    usage();
  return value;
}

options parse(int argc, char** argv) {
  options chosen;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto split = std::min(argument.find('='), argument.size());
    const auto name = argument.substr(0, split), value = argument.substr(std::min(split + 1, argument.size()));
    if (name == "--mode")
      chosen.mode = value;
    else if (name == "--port")
      chosen.port = parse_number(value, 1, 65535);
    else if (name == "--unix")
      chosen.unix_path = value;
    else if (name == "--connections")
      chosen.connections = parse_number(value, 1, 100'000);
    else if (name == "--depth")
      chosen.depth = parse_number(value, 1, 1024);
    else if (name == "--size")
      chosen.size = parse_number(value, 1, 1 << 20);
    else if (name == "--seconds")
      chosen.measured = seconds(parse_number(value, 0.01, 600.0));
    else if (name == "--warm-up")
      chosen.warm_up = seconds(parse_number(value, 0.0, 60.0));
    else if (name == "--server")
      chosen.server = parse_number(value, 1, 1 << 22);
    else if (name == "--rounds")
      chosen.rounds = parse_number(value, 1, 100'000);
    else if (name == "--empty")
      chosen.empty = parse_number(value, 0, 100'000);
    else if (name == "--fresh")
      chosen.fresh = parse_number(value, 0, 1) == 1;
    else if (name == "--upstream")
      chosen.upstream = parse_number(value, 1, 1 << 22);
    else if (name == "--spin")
      chosen.spin = parse_number(value, 0, 1) == 1;
    else
      usage();
  }
  const bool udp = chosen.mode.starts_with("udp");
  if ((chosen.port == 0) == chosen.unix_path.empty() || (udp && chosen.port == 0) ||
      ((chosen.mode == "idle" || chosen.mode == "rounds") && chosen.server == 0) ||
      (udp && (chosen.size < udp_client::size_min || chosen.size > datagram_bytes_max)))
    usage();
  return chosen;
}

/// Whatever happens to the server, the run ends: 30 s after the time it should take.
void stop_at_the_latest_after(seconds expected) {
  signal(SIGALRM, [](int) {
    constexpr std::string_view text = "load: the run did not end in time\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
    ::_exit(1);
  });
  ::alarm(static_cast<unsigned>(expected.count()) + 30);
}

void allow_many_descriptors() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0)
    fail("getrlimit");
  files.rlim_cur = files.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &files) != 0)
    fail("setrlimit");
}

} // namespace
} // namespace actnet::bench

int main(int argc, char** argv) {
  using namespace actnet::bench;
  const auto chosen = parse(argc, argv);
  const auto found = std::find_if(modes.begin(), modes.end(), [&](const mode& m) { return m.name == chosen.mode; });
  if (found == modes.end())
    usage();
  if (chosen.mode == "rounds") // each takes some milliseconds, but a second where others keep the machine busy
    stop_at_the_latest_after(seconds(chosen.rounds + chosen.empty));
  else
    stop_at_the_latest_after(chosen.warm_up + chosen.measured);
  allow_many_descriptors();
  report out;
  found->run(chosen, out);
  out.print();
}
