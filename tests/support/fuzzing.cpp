#include "support/fuzzing.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>

namespace actnet::test {

namespace {

std::optional<unsigned long> from_environment(const char* name) {
  const auto text = std::getenv(name);
  return text ? std::optional{std::stoul(text)} : std::nullopt;
}

/// The command for one seed of the test that runs.
std::string how_to_repeat(unsigned long seed) {
  std::string test;
  for (const auto c : Catch::getResultCapture().getCurrentTestName()) {
    if (c == ',' || c == '[')
      test += '\\'; // they would mean something to Catch2
    test += c;
  }
  return "ACTNET_SEEDS=1 ACTNET_SEED=" + std::to_string(seed) + " " +
         std::filesystem::read_symlink("/proc/self/exe").string() + " '" + test + "'";
}

} // namespace

void for_each_seed(std::size_t usual, const std::function<std::string(unsigned seed)>& one) {
  constexpr int bad_max = 5;
  const auto first = from_environment("ACTNET_SEED").value_or(1);
  const auto count = from_environment("ACTNET_SEEDS").value_or(rounds(usual));
  int bad = 0;
  for (auto seed = first; seed < first + count && bad < bad_max; ++seed)
    if (const auto wrong = one(static_cast<unsigned>(seed)); !wrong.empty()) {
      ++bad;
      FAIL_CHECK("seed " << seed << ": " << wrong << "\nagain: " << how_to_repeat(seed));
    }
}

std::size_t fuzz_peer::send(std::string_view text) {
  if (finished_)
    return 0;
  const auto count = ::send(end_.fd(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

std::string fuzz_peer::receive(std::size_t most) {
  std::string got(most, '\0');
  const auto count = ::recv(end_.fd(), got.data(), got.size(), MSG_DONTWAIT);
  ended_ = ended_ || (count == 0 && most > 0) || (count < 0 && errno == ECONNRESET);
  got.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return got;
}

void fuzz_peer::drain() {
  if (end_.fd() < 0)
    return;
  while (!receive(65'536).empty()) {
  }
}

void fuzz_peer::finish() {
  finished_ = true;
  ::shutdown(end_.fd(), SHUT_WR);
}

void fuzz_peer::reset() {
  finished_ = true;
  const linger at_once{1, 0};
  ::setsockopt(end_.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  end_.reset();
}

fuzz_listener::fuzz_listener(carrier over) : address_(fresh_address(over)) {
  if (over == carrier::tcp) {
    auto& any = reinterpret_cast<sockaddr_in&>(local_);
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    local_size_ = sizeof any;
    reserve_ = make();
    REQUIRE(::getsockname(reserve_.fd(), reinterpret_cast<sockaddr*>(&local_), &local_size_) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(any.sin_port));
  } else {
    auto& named = reinterpret_cast<sockaddr_un&>(local_);
    const auto name = std::string_view{address_}.substr(sizeof "unix:@" - 1);
    named.sun_family = AF_UNIX;
    name.copy(named.sun_path + 1, name.size()); // abstract
    local_size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  }
  listen();
}

descriptor fuzz_listener::make() {
  descriptor made{::socket(local_.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const int on = 1;
  ::setsockopt(made.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE(::bind(made.fd(), reinterpret_cast<const sockaddr*>(&local_), local_size_) == 0);
  return made;
}

std::optional<fuzz_peer> fuzz_listener::accept() {
  descriptor taken{::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC)};
  return taken ? std::optional{fuzz_peer{std::move(taken)}} : std::nullopt;
}

void fuzz_listener::refuse() {
  socket_.reset();
}

void fuzz_listener::listen() {
  if (socket_)
    return;
  socket_ = make();
  REQUIRE(::listen(socket_.fd(), 16) == 0);
}

bool fuzz_world::await(const std::function<bool()>& done, const std::function<void()>& meanwhile) {
  int still = 20; // rounds in which whatever needs no time is done
  return eventually([&] {
    meanwhile();
    settle();
    if (done())
      return true;
    if (--still < 0)
      pass(20ms);
    return false;
  });
}

fuzz_stream fuzz_world::open_stream(carrier over, int buffer_bytes) {
  peer_options options;
  options.receive_buffer_bytes = buffer_bytes;
  connected_pair pair{options, over};
  if (over == carrier::tcp)
    ::setsockopt(pair.near.fd(), SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
  return {std::move(pair.near), fuzz_peer{pair.far.release()}};
}

} // namespace actnet::test
