// The handle of a datagram socket: its member functions are the commands.
#pragma once

#include "actnet/actors/handle.hpp"
#include "actnet/actors/options.hpp"
#include "actnet/net/address/endpoint.hpp"
#include "actnet/net/bytes/bytes.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace actnet {

class datagram_actor;

namespace datagram {
struct received;
}

/// Commands to a datagram socket, as described with the messages in messages.hpp. Outcomes go to the actor whose code
/// calls, as with `connection`.
class datagram_socket : public handle {
 public:
  datagram_socket() = default;
  explicit datagram_socket(caf::strong_actor_ptr target) noexcept;
  explicit datagram_socket(datagram_actor& target) noexcept;

  /// To the connected peer.
  void send(net::bytes payload, std::uint64_t token = 0) const;
  void send(std::string_view text, std::uint64_t token = 0) const;
  void send_to(const net::endpoint& to, net::bytes payload, std::uint64_t token = 0) const;
  void send_to(const net::endpoint& to, std::string_view text, std::uint64_t token = 0) const;
  /// To who sent `question`, from the address it was sent to.
  void answer(const datagram::received& question, net::bytes payload, std::uint64_t token = 0) const;
  void answer(const datagram::received& question, std::string_view text, std::uint64_t token = 0) const;
  /// `count` bytes from `offset` on; 0: all up to the file's end.
  void send_file(const net::endpoint& to, std::string path, std::uint64_t offset = 0, std::uint64_t count = 0,
                 std::uint64_t token = 0) const;
  void connect(const net::endpoint& peer) const;
  void disconnect() const;
  void join_group(net::join_group group) const;
  void leave_group(net::leave_group group) const;
  void set_options(socket_options options) const;
  void set_owner(caf::actor owner) const;
  void pause_reading() const;
  void resume_reading() const;
  void close() const;

 private:
  datagram_actor* local_ = nullptr;
};

} // namespace actnet
