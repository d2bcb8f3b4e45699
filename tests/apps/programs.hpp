// How the tests start the programs of apps/ and look at them from outside.
#pragma once

#include "support/catch.hpp"
#include "support/descriptor.hpp"
#include "support/eventually.hpp"
#include "support/peer.hpp"
#include "support/position_stream.hpp"
#include "support/process.hpp"
#include "support/scratch_folder.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace actnet::test {

inline std::string app(const std::string& name) {
  return std::string{ACTNET_APPS_DIR} + "/" + name;
}

/// One of the README's programs.
inline std::string readme_program(const std::string& name) {
  return std::string{ACTNET_README_DIR} + "/" + name;
}

/// Of a thread by its name: `actnet.0` is that of the first loop.
inline bool is_loop_thread(const std::string& name) {
  return name.size() > 7 && name.starts_with("actnet.") && name[7] >= '0' && name[7] <= '9';
}

inline bool is_installed(const std::string& program) {
  return process({.argv = {"sh", "-c", "command -v " + program}, .input = ""}).wait().code == 0;
}

/// `argv` with its standard streams changed by the shell, which becomes the program: `redirected(">/dev/full", {...})`.
inline std::vector<std::string> redirected(const std::string& how, std::vector<std::string> argv) {
  argv.insert(argv.begin(), {"sh", "-c", "exec \"$0\" \"$@\" " + how});
  return argv;
}

inline std::string at_port(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

/// Waits for a server's line `listening on 127.0.0.1:PORT` (the first on stderr).
inline std::uint16_t port_of(process& server) {
  const auto line = server.wait_for_line(process::stream::err, "listening on 127\\.0\\.0\\.1:([0-9]+)$");
  return static_cast<std::uint16_t>(std::stoul(line.at(1)));
}

/// A tcp_server on a free port, with more arguments before the endpoint, and its output where `how` sends it.
struct running_server {
  process program;
  std::uint16_t port;

  explicit running_server(std::vector<std::string> arguments = {}, const std::string& how = "")
      : program({.argv = command(std::move(arguments), how), .input = ""}), port(port_of(program)) {}

  static std::vector<std::string> command(std::vector<std::string> arguments, const std::string& how) {
    arguments.insert(arguments.begin(), app("tcp_server"));
    arguments.push_back("127.0.0.1:0");
    return redirected(how, std::move(arguments));
  }
};

inline bool listens(std::uint16_t port) {
  try {
    peer probe(port);
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

inline bool has_one_line(const std::string& text) {
  return text.find('\n') == text.size() - 1 && text.size() > 1;
}

/// A pipe with a name, for a program's output: it is read when the test says so.
class slow_output {
 public:
  explicit slow_output(const scratch_folder& folder) : path_(folder / "output") {
    ::mkfifo(path_.c_str(), 0600);
    pipe_.reset(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }

  const std::string& path() const { return path_; }

  /// Bytes that wait in the pipe.
  int waiting() const {
    int count = 0;
    ::ioctl(pipe_.fd(), FIONREAD, &count);
    return count;
  }

  /// Once a writer has opened it: reads to the end.
  position_checker read_to_end(std::uint64_t seed = 1) {
    position_checker checker(seed);
    ::fcntl(pipe_.fd(), F_SETFL, 0);
    std::vector<char> buffer(65'536);
    while (const auto count = ::read(pipe_.fd(), buffer.data(), buffer.size())) {
      if (count < 0)
        throw std::runtime_error("read failed");
      checker.feed(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
    }
    return checker;
  }

 private:
  std::string path_;
  descriptor pipe_;
};

/// Waits until nothing moves any more, because nobody reads: bytes wait in `output`, and neither they nor `progress()`
/// have changed for half a second. (How many bytes fill a pipe depends on how they were written.) Returns how far it
/// came.
template <class Progress>
std::uint64_t await_standstill(const slow_output& output, Progress progress) {
  std::uint64_t before = 0;
  int waiting_before = 0;
  int unchanged = 0;
  const auto stands_still = eventually([&] {
    ::poll(nullptr, 0, 50);
    const auto now = progress();
    const auto waiting = output.waiting();
    unchanged = waiting > 0 && now == before && waiting == waiting_before ? unchanged + 1 : 0;
    before = now;
    waiting_before = waiting;
    return unchanged == 10;
  });
  if (!stands_still)
    throw std::runtime_error("bytes are still moving");
  return before;
}

/// The most memory a process has had, in KiB (VmHWM, proc(5)).
inline std::size_t memory_peak_kib(pid_t id) {
  std::ifstream status("/proc/" + std::to_string(id) + "/status");
  for (std::string word; status >> word;)
    if (std::size_t peak; word == "VmHWM:" && status >> peak)
      return peak;
  throw std::runtime_error("no VmHWM");
}

} // namespace actnet::test
