#include "actnet/actors/connection.hpp"

#include "actnet/actors/connection_actor.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/this_actor.hpp"

namespace actnet {

connection::connection(caf::strong_actor_ptr target) noexcept
    : handle(std::move(target)),
      local_(pointer() ? dynamic_cast<connection_actor*>(caf::actor_cast<caf::abstract_actor*>(pointer())) : nullptr) {}

connection::connection(connection_actor& target) noexcept
    : handle(caf::strong_actor_ptr{target.ctrl()}), local_(&target) {}

void connection::write(net::bytes payload, std::uint64_t token) const {
  if (local_)
    local_->write(std::move(payload), token, this_actor());
  else
    tell(stream::write{std::move(payload), token});
}

void connection::write(std::string_view text, std::uint64_t token) const {
  auto payload = net::bytes::to_send(text);
  if (local_ && payload.size() <= net::bytes::sent_at_once_max)
    local_->write(std::move(payload), token, this_actor());
  else
    tell(stream::write{std::move(payload), token});
}

void connection::write_file(std::string path, std::uint64_t offset, std::uint64_t count, std::uint64_t token) const {
  tell(stream::write_file{std::move(path), offset, count, token});
}

void connection::flush(std::uint64_t token) const {
  tell(stream::flush{token});
}

void connection::finish() const {
  tell(stream::finish{});
}

void connection::close() const {
  tell(stream::close{});
}

void connection::abort() const {
  tell(stream::abort{});
}

void connection::pause_reading() const {
  tell(stream::pause_reading{});
}

void connection::resume_reading() const {
  tell(stream::resume_reading{});
}

void connection::stop_reading() const {
  tell(stream::stop_reading{});
}

void connection::set_options(socket_options options) const {
  tell(stream::set_options{std::move(options)});
}

void connection::set_deadline(net::timeout from_now) const {
  tell(stream::set_deadline{from_now});
}

void connection::set_idle_timeout(std::chrono::milliseconds timeout) const {
  tell(stream::set_idle_timeout{timeout});
}

void connection::set_owner(caf::actor owner) const {
  tell(stream::set_owner{caf::actor_cast<caf::strong_actor_ptr>(std::move(owner))});
}

void connection::use_codec(std::optional<net::framing> framing, bool only_reads) const {
  tell(stream::use_codec{std::move(framing), only_reads});
}

} // namespace actnet
