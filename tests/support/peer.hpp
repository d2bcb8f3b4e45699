// The other side of a connection or of datagrams, for tests: loopback sockets that never go through the library's own
// code or its replaced system calls. Every operation has a deadline and throws std::runtime_error naming itself.
#pragma once

#include "support/carrier.hpp"
#include "support/descriptor.hpp"
#include "support/eventually.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace actnet::test {

struct peer_options {
  std::chrono::milliseconds deadline = default_deadline; ///< Of each operation as a whole.
  int receive_buffer_bytes = 0; ///< SO_RCVBUF, set before connect or listen (Linux doubles it, at least 2,304 bytes);
                                ///< 0 leaves the system's size.
};

/// Addresses as the library writes them: "127.0.0.1:PORT", "udp://127.0.0.1:PORT", "unix:@NAME", "unix:/PATH", and
/// "unixgram:" likewise. These are free: port 0, or an abstract name that nobody else has.
std::string fresh_address(carrier over);
std::string fresh_address(datagram_carrier over);

/// Sends `text` through a Unix socket with a descriptor attached (SCM_RIGHTS, unix(7)): the receiver gets one of its
/// own. To `address`, unless the socket is connected.
void attach(int through, int fd, std::string_view text, const std::string& address = {});

/// How a stream ended, seen from the reader.
enum class ending { finished, reset };

/// How it ends for a peer whose other side aborts after it has read everything: only TCP has an RST (unix(7)).
inline ending ending_of_abort(carrier over) {
  return over == carrier::tcp ? ending::reset : ending::finished;
}

/// One end of a stream. Move-only; one thread at a time. Destruction closes it as `close` does.
class peer {
 public:
  /// To 127.0.0.1. A connection that is accepted and reset at once counts as connected: reading tells of the reset.
  explicit peer(std::uint16_t port, peer_options options = {});

  explicit peer(const std::string& address, peer_options options = {});

  /// Takes a connected stream socket: an accepted one, or one of a socketpair, whose other end helps it to `reset`.
  explicit peer(descriptor connected, peer_options options = {}, int other_end = -1);

  int fd() const noexcept { return socket_.fd(); }
  std::uint16_t local_port() const;

  void send_all(std::span<const std::byte> bytes);
  void send_all(std::string_view text) { send_all(std::as_bytes(std::span(text))); }

  /// Sends what the kernel takes at once: 0 when its buffer is full.
  std::size_t send_some(std::span<const std::byte> bytes);

  /// At least one byte and at most `max`; empty at the end of the stream.
  std::string read_some(std::size_t max);

  std::string read_exactly(std::size_t size);

  /// All until the other side finishes; a reset is an error.
  std::string read_to_end();

  /// Reads and drops until the end, and says which it was.
  ending await_end();

  /// Bytes that have arrived and were not read (FIONREAD).
  std::size_t unread() const;

  /// Waits until there is something to read: bytes, or the end.
  void await_readable();

  /// Sends FIN; reading goes on.
  void finish();

  /// Sends RST (SO_LINGER 0) and closes. A Unix stream is reset by whoever closes it with bytes unread (unix(7)): if
  /// none are, one comes from the other end for that, unless that has finished; then this is an ordinary end.
  void reset();

  /// Sends FIN, or resets if bytes are unread.
  void close() noexcept { socket_.reset(); }

  /// From now on it is the caller's.
  descriptor release() noexcept { return std::move(socket_); }

 private:
  using clock = std::chrono::steady_clock;

  clock::time_point end_of_operation() const { return clock::now() + options_.deadline; }
  std::size_t receive(std::span<char> target, clock::time_point end, const char* operation);

  descriptor socket_;
  peer_options options_;
  int other_end_ = -1;
  bool reset_at_once_ = false; // connect has found it, and the kernel tells it only once
};

/// Listens on 127.0.0.1, on a port that the kernel picks, or at an abstract Unix name.
class listening_peer {
 public:
  explicit listening_peer(peer_options options = {}, int backlog = 128)
      : listening_peer(carrier::tcp, options, backlog) {}
  explicit listening_peer(carrier over, peer_options options = {}, int backlog = 128);

  int fd() const noexcept { return socket_.fd(); }
  std::uint16_t port() const noexcept { return port_; } ///< 0: none.
  const std::string& address() const noexcept { return address_; }

  peer accept();

  /// From now on a connect is refused.
  void close() noexcept { socket_.reset(); }

 private:
  descriptor socket_;
  peer_options options_;
  std::string address_;
  std::uint16_t port_ = 0;
};

/// A datagram and who sent it, on loopback.
struct peer_datagram {
  std::string payload;
  std::string from;
  std::uint16_t from_port = 0; ///< 0: none.
};

/// A UDP socket on 127.0.0.1, on a port that the kernel picks, or a Unix one with an abstract name.
class datagram_peer {
 public:
  explicit datagram_peer(datagram_carrier over, peer_options options = {});

  int fd() const noexcept { return socket_.fd(); }
  std::uint16_t port() const noexcept { return port_; } ///< 0: none.
  const std::string& address() const noexcept { return address_; }

  void send_to(const std::string& address, std::string_view payload);
  void send_to(std::uint16_t port, std::string_view payload);
  peer_datagram receive();

 private:
  descriptor socket_;
  peer_options options_;
  std::string address_;
  std::uint16_t port_ = 0;
};

class udp_peer : public datagram_peer {
 public:
  explicit udp_peer(peer_options options = {}) : datagram_peer(datagram_carrier::udp, options) {}
};

} // namespace actnet::test
