#include "support/fuzzing.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>

namespace actnet::test {

namespace {

std::optional<unsigned long> from_environment(const char* name) {
  const auto text = std::getenv(name);
  return text ? std::optional{std::stoul(text)} : std::nullopt;
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
      FAIL_CHECK("seed " << seed << ": " << wrong);
    }
}

void fuzz_peer::send(std::string_view text) {
  if (!finished_)
    (void)!::send(end_.fd(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::string fuzz_peer::receive(std::size_t most) {
  std::string got(most, '\0');
  const auto count = ::recv(end_.fd(), got.data(), got.size(), MSG_DONTWAIT);
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
