// Many bytes through the programs, among themselves and with foreign ones.
#include "apps/programs.hpp"

#include "support/baseline.hpp"
#include "support/peers.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>

using namespace actnet::test;
using namespace std::chrono_literals;
using stream = process::stream;

namespace {

constexpr std::uint64_t many = 50'000'000;

void write_positions(const std::string& path, std::uint64_t count) {
  const auto bytes = position_stream(1).bytes(count);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(count));
}

/// How far a process has read its standard input, a file.
std::uint64_t input_position(pid_t id) {
  std::ifstream info("/proc/" + std::to_string(id) + "/fdinfo/0");
  std::string word;
  std::uint64_t position = 0;
  info >> word >> position;
  return position;
}

void check_memory_peak(const process& program) {
  if (!sanitized)
    CHECK(memory_peak_kib(program.id()) < 64 * 1024);
}

} // namespace

TEST_CASE("the pair passes 50 MB to a reader that takes its time, in bounded memory", "[apps]") {
  baseline before;
  scratch_folder folder;
  slow_output output(folder);
  write_positions(folder / "input", many);
  running_server server({}, ">\"" + output.path() + "\"");
  process client({.argv = {app("tcp_client"), at_port(server.port), "-"}, .input_file = folder / "input"});

  // Nobody reads: everything on the way fills up and stands still, long before the end.
  CHECK(await_standstill(output, [&] { return input_position(client.id()); }) < many / 2);
  CHECK(client.is_running());

  const auto received = output.read_to_end();
  CHECK(received.offset() == many);
  CHECK_FALSE(received.first_difference());
  CHECK(client.wait() == exit_status{0, 0});
  CHECK(server.program.wait() == exit_status{0, 0});
}

TEST_CASE("a server's memory is bounded while its output stands still", "[apps]") {
  scratch_folder folder;
  slow_output output(folder);
  running_server server({"-k"}, ">\"" + output.path() + "\"");
  flooding_peer one{peer(server.port)};
  flooding_peer two{peer(server.port)};
  await_standstill(output, [&] { return one.bytes_sent() + two.bytes_sent(); });
  check_memory_peak(server.program);
}

TEST_CASE("an answer of 50 MB comes through whole to a reader that takes its time", "[apps]") {
  scratch_folder folder;
  slow_output output(folder);
  listening_peer server;
  process client(
      {.argv = redirected(">\"" + output.path() + "\"", {app("tcp_client"), at_port(server.port())}), .input = ""});
  auto connection = server.accept();
  CHECK(connection.read_to_end() == "Hello, world!");
  flooding_peer answer(std::move(connection), 1, many);
  CHECK(await_standstill(output, [&] { return answer.bytes_sent(); }) < many);
  check_memory_peak(client);

  position_checker received;
  std::thread reader([&] { received = output.read_to_end(); });
  CHECK(eventually([&] { return answer.bytes_sent() == many; }));
  answer.stop().close();
  reader.join();
  CHECK(received.offset() == many);
  CHECK_FALSE(received.first_difference());
  CHECK(client.wait() == exit_status{0, 0});
}

TEST_CASE("several clients at once are all printed", "[apps]") {
  running_server server({"-k"});
  std::vector<std::unique_ptr<process>> clients;
  for (int i = 0; i < 8; ++i)
    clients.push_back(
        std::make_unique<process>(process_options{.argv = {app("tcp_client"), at_port(server.port), "-"},
                                                  .input = std::string(100'000, static_cast<char>('a' + i))}));
  for (auto& client : clients)
    CHECK(client->wait() == exit_status{0, 0});
  server.program.send_signal(SIGTERM);
  CHECK(server.program.wait() == exit_status{0, 0});
  const auto all = server.program.output();
  CHECK(all.size() == 800'000);
  for (char c = 'a'; c < 'i'; ++c)
    CHECK(std::count(all.begin(), all.end(), c) == 100'000);
}

TEST_CASE("nc and socat are clients like others", "[apps]") {
  for (const auto& [program, options] : {std::pair{"nc", "-N 127.0.0.1 "}, {"socat", "-u - TCP:127.0.0.1:"}}) {
    if (!is_installed(program)) {
      WARN(program << " is not installed: not tested");
      continue;
    }
    running_server server;
    const auto line = std::string{"exec "} + program + " " + options + std::to_string(server.port);
    const std::string text(300'000, 'x');
    process client({.argv = {"sh", "-c", line}, .input = text});
    CHECK(client.wait() == exit_status{0, 0});
    CHECK(server.program.wait() == exit_status{0, 0});
    CHECK(server.program.output() == text);
  }
}

TEST_CASE("socat is a server like others", "[apps]") {
  if (!is_installed("socat")) {
    WARN("socat is not installed: not tested");
    return;
  }
  process server({.argv = {"socat", "-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1", "EXEC:cat"}, .input = ""});
  const auto port = server.wait_for_line(stream::err, "listening on .*127\\.0\\.0\\.1:([0-9]+)").at(1);
  const std::string text(300'000, 'y');
  process client({.argv = {app("tcp_client"), "127.0.0.1:" + port, "-"}, .input = text});
  CHECK(client.wait() == exit_status{0, 0});
  CHECK(client.output() == text);
}
