#include "actnet/actors/connection_actor.hpp"

#include "actnet/actors/listener_book.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/make_lean.hpp"
#include "actnet/net/log.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>
#include <caf/system_messages.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>

namespace actnet {

namespace {

/// Memory of one size, a bounded amount of it kept by each thread.
class spare_memory {
 public:
  ~spare_memory() {
    while (first_)
      ::operator delete(std::exchange(first_, first_->next));
  }

  void* take(std::size_t size) {
    if (!first_)
      return ::operator new(size);
    --count_;
    return std::exchange(first_, first_->next);
  }

  void give(void* memory) noexcept {
    if (count_ == kept_max) {
      ::operator delete(memory);
      return;
    }
    first_ = new (memory) spare{first_};
    ++count_;
  }

 private:
  struct spare {
    spare* next;
  };
  static constexpr std::size_t kept_max = 1024;
  spare* first_ = nullptr;
  std::size_t count_ = 0;
};

spare_memory& spare_items() {
  thread_local spare_memory instance;
  return instance;
}

} // namespace

/// A write, flush or finish on its way through the queue, with whom to tell. One is made for each write, so a thread
/// keeps some for the next.
struct connection_actor::outgoing final : net::write_item {
  static void* operator new(std::size_t size) { return spare_items().take(size); }
  static void operator delete(void* memory) noexcept { spare_items().give(memory); }

  static constexpr std::uint32_t no_owner = 0xffff'ffff;

  caf::strong_actor_ptr sender;
  caf::message_id request; // of a request, otherwise a plain id
  std::uint64_t token = 0;
  write_waiter* waiter = nullptr; // is told in place of a sender
  std::uint32_t owner = no_owner; // the owner of that number is the sender: the usual case, without a reference
  bool full = false;              // found no room: only its refusal is queued
};

connection_actor::connection_actor(caf::actor_config& cfg, loop_host& home, connection_birth birth)
    : lean_actor(cfg, home),
      stream_(home.loop(), std::move(birth.socket), birth.options, *this),
      peer_(std::move(birth.peer)),
      slot_(std::move(birth.slot)) {}

connection_actor::~connection_actor() = default;

caf::strong_actor_ptr connection_actor::make(loop_host& home, connection_birth birth) {
  return make_lean<connection_actor>(home, std::move(birth));
}

void connection_actor::born_to(caf::strong_actor_ptr owner) {
  owner_ = std::move(owner);
  hosted_owner_ = as_hosted(owner_);
}

void connection_actor::begin() {
  stream_.begin(owner_ != nullptr);
  if (owner_)
    watch(owner_);
}

void connection_actor::cannot_begin(const caf::error& cause) {
  ended_with_ = {net::close_reason::error, cause};
  if (owner_)
    told_of_end_ = owner_->aid;
  send(std::exchange(owner_, nullptr), caf::make_message_id(), ended_with_);
  slot_ = nullptr;
}

// -- commands: noted in whoever's turn it is ---------------------------------------------------------

void connection_actor::write(net::bytes&& payload, std::uint64_t token, caf::abstract_actor* sender) {
  const auto here = home().is_current();
  if (here && token == 0 && !ended() && takes_at_once() && stream_.takes_direct(payload.size())) {
    direct_sender_ = sender;
    stream_.write_direct(std::move(payload));
    return;
  }
  if (here && !ended() && !takes_at_once()) { // not begun: by its handler's constructor
    enqueue(caf::make_mailbox_element(sender ? caf::strong_actor_ptr{sender->ctrl()} : nullptr, caf::make_message_id(),
                                      {}, stream::write{std::move(payload), token}),
            nullptr);
    return;
  }
  auto item = new outgoing;
  item->token = token;
  item->is_write = true;
  if (here)
    set_sender(*item, sender);
  else if (sender)
    item->sender = caf::strong_actor_ptr{sender->ctrl()};
  if (here ? stream_.reserve_here(payload.size(), true) : stream_.reserve(payload.size(), true))
    item->payload = std::move(payload);
  else
    item->full = true;
  if (here) {
    queue(item);
    return;
  }
  post(item);
}

/// From another thread.
void connection_actor::post(outgoing* item) {
  intrusive_ptr_add_ref(ctrl());
  if (home().loop().post(&run_queue, this, item))
    return;
  if (item->sender) { // the loop has ended; the outcome comes from this thread
    auto cause = make_error(errc::shutting_down);
    if (item->request.is_request())
      item->sender->enqueue(ctrl(), item->request.response_id(), caf::make_message(std::move(cause)), nullptr);
    else
      item->sender->enqueue(ctrl(), caf::make_message_id(),
                            caf::make_message(stream::written{item->token, 0, std::move(cause)}), nullptr);
  }
  delete item;
  intrusive_ptr_release(ctrl());
}

void connection_actor::set_sender(outgoing& item, caf::abstract_actor* sender) noexcept {
  if (sender && sender->ctrl() == owner_.get())
    item.owner = static_cast<std::uint32_t>(former_owners_.size());
  else if (sender)
    item.sender = caf::strong_actor_ptr{sender->ctrl()};
}

net::write_item& connection_actor::item_of_direct() noexcept {
  auto item = new outgoing;
  item->is_write = true;
  set_sender(*item, std::exchange(direct_sender_, nullptr));
  return *item;
}

void connection_actor::run_queue(void* self, void* item) noexcept {
  auto& me = *static_cast<connection_actor*>(self);
  me.queue(static_cast<outgoing*>(item));
  intrusive_ptr_release(me.ctrl());
}

void connection_actor::queue(outgoing* item) noexcept {
  if (ended())
    keep_for_this_turn();
  if (item->full)
    stream_.refuse(*item);
  else if (item->what == net::write_item::kind::finish)
    stream_.finish(*item);
  else if (item->payload.size() > net::bytes::sent_at_once_max)
    stream_.reject(*item, errc::message_too_large);
  else if (!stream_.write_framing() || make_frame(*item))
    stream_.write(*item);
}

/// False: it cannot be one, and has been rejected.
bool connection_actor::make_frame(outgoing& item) noexcept {
  if (item.file) {
    stream_.reject(item, errc::not_supported);
    return false;
  }
  if (!item.is_write)
    return true; // a mark
  auto frame = stream_.write_framing()->encode(item.payload);
  if (frame)
    stream_.replace_payload(item, std::move(*frame));
  else
    stream_.reject(item, static_cast<errc>(frame.error().value()));
  return frame.has_value();
}

void connection_actor::queue(outgoing* item, write_waiter& who) noexcept {
  item->waiter = &who;
  who.item_ = item;
  queue(item);
}

void connection_actor::write(net::bytes payload, write_waiter& who, bool is_mark) {
  auto item = new outgoing;
  item->is_write = !is_mark;
  item->full = !stream_.reserve_here(payload.size(), item->is_write);
  item->payload = std::move(payload);
  queue(item, who);
}

void connection_actor::write(std::unique_ptr<net::file_source> file, write_waiter& who) {
  auto item = new outgoing;
  item->full = !stream_.reserve_here(0);
  item->file = std::move(file);
  queue(item, who);
}

void connection_actor::finish(write_waiter& who) {
  auto item = new outgoing;
  item->what = net::write_item::kind::finish;
  queue(item, who);
}

void connection_actor::withdraw(write_waiter& who, errc cause) noexcept {
  if (who.item_ && who.item_->what != net::write_item::kind::finish)
    (void)stream_.withdraw(*who.item_, cause);
}

void connection_actor::forget(write_waiter& who) noexcept {
  if (!who.item_)
    return;
  withdraw(who, errc::cancelled);
  static_cast<outgoing*>(std::exchange(who.item_, nullptr))->waiter = nullptr;
}

namespace {

/// A command whose outcome is `stream::written`, and what it takes in memory on its way to the loop.
struct written_order {
  std::size_t room_bytes = 0; // 0: it is another
  std::uint64_t token = 0;
  bool is_write = false;

  explicit written_order(const caf::mailbox_element& command) {
    const auto& content = command.content();
    if (content.size() != 1 || command.mid.is_response())
      return;
    const auto is = [this](std::uint64_t its_token, std::size_t bytes) {
      token = its_token;
      room_bytes = bytes + net::connection::item_overhead_bytes;
    };
    if (content.match_elements<stream::write>()) {
      const auto& order = content.get_as<stream::write>(0);
      is(order.token, order.payload.size());
      is_write = true;
    } else if (content.match_elements<stream::write_file>()) {
      const auto& order = content.get_as<stream::write_file>(0);
      is(order.token, order.path.size());
    } else if (content.match_elements<stream::flush>()) {
      is(content.get_as<stream::flush>(0).token, 0);
    }
  }
};

} // namespace

/// It takes room in the queue only when the loop has it: what waits before it there may be a `finish`.
bool connection_actor::admit(caf::mailbox_element& command) {
  const written_order order{command};
  if (order.room_bytes == 0 || on_the_way_.take(order.room_bytes, stream_.options().write_high_bytes))
    return true;
  auto refusal = new outgoing;
  refusal->sender = std::move(command.sender);
  refusal->request = command.mid;
  refusal->token = order.token;
  refusal->is_write = order.is_write;
  refusal->full = true;
  post(refusal);
  return false;
}

void connection_actor::take_in(const caf::mailbox_element& command) noexcept {
  on_the_way_.give_back(written_order{command}.room_bytes);
}

bool connection_actor::note(caf::mailbox_element& command) {
  auto& content = command.content();
  if (content.size() != 1 || command.mid.is_response())
    return false;
  const auto make_item = [&command] {
    auto item = new outgoing;
    item->sender = command.sender;
    item->request = command.mid;
    return item;
  };
  if (content.match_elements<stream::write>()) {
    auto item = make_item();
    auto& order = content.get_as<stream::write>(0);
    item->is_write = true;
    item->token = order.token;
    if (stream_.reserve_here(order.payload.size(), true))
      item->payload = order.payload;
    else
      item->full = true;
    queue(item);
  } else if (content.match_elements<stream::write_file>()) {
    auto item = make_item();
    const auto& order = content.get_as<stream::write_file>(0);
    item->token = order.token;
    if (stream_.reserve_here(0))
      item->file = std::make_unique<net::file_source>(order.path, order.offset, order.count);
    else
      item->full = true;
    queue(item);
  } else if (content.match_elements<stream::flush>()) {
    auto item = make_item();
    item->token = content.get_as<stream::flush>(0).token;
    item->full = !stream_.reserve_here(0);
    queue(item);
  } else if (content.match_elements<stream::finish>()) {
    auto item = make_item();
    item->what = net::write_item::kind::finish;
    queue(item);
  } else {
    if (content.match_elements<stream::close>())
      stream_.close();
    else if (content.match_elements<stream::abort>())
      stream_.abort();
    else if (content.match_elements<stream::pause_reading>())
      stream_.pause_reading();
    else if (content.match_elements<stream::resume_reading>())
      stream_.resume_reading();
    else if (content.match_elements<stream::use_codec>())
      use_codec(content.get_as<stream::use_codec>(0).framing, content.get_as<stream::use_codec>(0).only_reads);
    else
      return false;
    return !command.mid.is_request(); // which is answered at the end of the turn
  }
  return true;
}

/// A read on demand that came as a message.
class connection_actor::pull_command final : public net::pull {
 public:
  pull_command(connection_actor& self, const caf::mailbox_element& command)
      : self_(self), sender_(command.sender), id_(command.mid) {}

  void on_pulled(net::bytes payload, std::error_code cause) noexcept override {
    const std::unique_ptr<pull_command> me{this};
    caf::error failed;
    if (cause)
      failed = payload.empty() ? make_error(cause) : make_error(static_cast<errc>(cause.value()), payload);
    if (!sender_)
      return;
    if (!id_.is_request())
      self_.send(sender_, caf::make_message_id(), stream::pulled{std::move(payload), std::move(failed)});
    else if (failed)
      self_.send(sender_, id_.response_id(), std::move(failed));
    else
      self_.send(sender_, id_.response_id(), std::move(payload));
  }

 private:
  connection_actor& self_;
  const caf::strong_actor_ptr sender_;
  const caf::message_id id_;
};

bool connection_actor::take_pull(caf::mailbox_element& command) {
  using kind = net::pull::kind;
  auto& content = command.content();
  const auto ask = [&](kind what, std::uint64_t size, net::timeout within) {
    auto made = std::make_unique<pull_command>(*this, command);
    made->what = what;
    made->size = static_cast<std::size_t>(size);
    if (within.count() > 0)
      made->deadline = home().loop().deadline_in(within);
    return made;
  };
  std::unique_ptr<pull_command> made;
  if (content.match_elements<stream::read_some>()) {
    const auto& order = content.get_as<stream::read_some>(0);
    made = ask(kind::some, order.max, order.within);
  } else if (content.match_elements<stream::read_exactly>()) {
    const auto& order = content.get_as<stream::read_exactly>(0);
    made = ask(kind::exactly, order.count, order.within);
  } else if (content.match_elements<stream::read_until>()) {
    const auto& order = content.get_as<stream::read_until>(0);
    made = ask(kind::until, order.max, order.within);
    made->delimiter = order.delimiter;
  } else if (content.match_elements<stream::read_line>()) {
    const auto& order = content.get_as<stream::read_line>(0);
    made = ask(kind::until, order.max, order.within);
    made->as_line();
  } else if (content.match_elements<stream::read_to_end>()) {
    const auto& order = content.get_as<stream::read_to_end>(0);
    made = ask(kind::to_end, order.max, order.within);
  } else if (content.match_elements<stream::read_quiet>()) {
    const auto& order = content.get_as<stream::read_quiet>(0);
    made = ask(kind::quiet, order.max, order.within);
    made->gap = order.gap;
  } else if (content.match_elements<stream::peek>()) {
    const auto& order = content.get_as<stream::peek>(0);
    made = ask(kind::peek, order.count, order.within);
  } else if (content.match_elements<stream::read_frame>()) {
    made = ask(kind::frame, 0, content.get_as<stream::read_frame>(0).within);
  } else {
    return false;
  }
  stream_.pull(*made.release()); // its outcome deletes it
  return true;
}

void connection_actor::on_message(caf::mailbox_element& command) {
  if (command.mid.is_response()) { // to a `peer_finished`
    if (command.mid.request_id().integer_value() == ends_told_)
      stream_.end_was_handled();
    return;
  }
  if (take_pull(command))
    return;
  auto& content = command.content();
  caf::error failed;
  if (content.match_elements<stream::close>() || content.match_elements<stream::abort>() ||
      content.match_elements<stream::pause_reading>() || content.match_elements<stream::resume_reading>() ||
      content.match_elements<stream::use_codec>()) {
    // it was noted, and is answered now
  } else if (content.match_elements<stream::stop_reading>()) {
    stream_.stop_reading();
  } else if (content.match_elements<stream::set_options>()) {
    for (const auto& option : content.get_as<stream::set_options>(0).options.list)
      if (auto done = stream_.socket().set(option); !done && !failed)
        failed = make_error(done.error());
  } else if (content.match_elements<stream::set_deadline>()) {
    const auto in = content.get_as<stream::set_deadline>(0).from_now;
    stream_.set_deadline(in.count() > 0 ? std::optional{home().loop().deadline_in(in)} : std::nullopt);
  } else if (content.match_elements<stream::set_idle_timeout>()) {
    stream_.set_idle_timeout(content.get_as<stream::set_idle_timeout>(0).timeout);
  } else if (content.match_elements<stream::set_owner>()) {
    const auto& owner = content.get_as<stream::set_owner>(0).owner;
    if (owner && owner->node() != home().system().node())
      failed = make_error(errc::not_supported, "the owner of a connection must live in its process");
    else if (owner)
      set_owner(owner);
    else
      failed = make_error(errc::invalid_argument, "a connection needs an owner");
  } else if (content.match_elements<stream::get_info>()) {
    answer(command, describe());
    return;
  } else {
    failed = make_error(errc::unexpected_message);
  }
  if (failed)
    answer(command, std::move(failed));
  else
    answer(command, caf::ok_atom_v);
}

void connection_actor::after_end(caf::mailbox_element& command) {
  if (take_pull(command)) // what had come before the end may still be there
    return;
  auto& content = command.content();
  if (content.match_elements<stream::get_info>())
    answer(command, describe());
  else if (content.match_elements<stream::close>() || content.match_elements<stream::abort>())
    answer(command, caf::ok_atom_v); // closing twice is no mistake
  else if (content.match_elements<stream::set_owner>()) {
    const auto& owner = content.get_as<stream::set_owner>(0).owner;
    if (owner && owner->aid != told_of_end_) {
      told_of_end_ = owner->aid;
      send(owner, caf::make_message_id(), ended_with_);
    }
    answer(command, make_error(errc::closed));
  } else {
    lean_actor::after_end(command);
  }
}

caf::message connection_actor::failure_of(const caf::type_erased_tuple& command, const caf::error& cause) const {
  const auto failed = [&cause](const auto& order) { return caf::make_message(stream::written{order.token, 0, cause}); };
  if (command.match_elements<stream::write>())
    return failed(command.get_as<stream::write>(0));
  if (command.match_elements<stream::write_file>())
    return failed(command.get_as<stream::write_file>(0));
  if (command.match_elements<stream::flush>())
    return failed(command.get_as<stream::flush>(0));
  if (command.match_elements<stream::finish>())
    return caf::make_message(stream::finished{cause});
  if (command.match_elements<stream::read_some>() || command.match_elements<stream::read_exactly>() ||
      command.match_elements<stream::read_until>() || command.match_elements<stream::read_line>() ||
      command.match_elements<stream::read_to_end>() || command.match_elements<stream::read_quiet>() ||
      command.match_elements<stream::peek>() || command.match_elements<stream::read_frame>())
    return caf::make_message(stream::pulled{{}, cause});
  return {};
}

void connection_actor::set_owner(const caf::strong_actor_ptr& owner) {
  if (owner_ == owner)
    return;
  if (owner_) {
    unwatch(owner_);
    if (stream_.has_items())
      former_owners_.push_back(owner_);
    else
      former_owners_.clear();
  }
  born_to(owner);
  watch(owner_);
  ++ends_told_; // what the former owner answers does not count any more
  stream_.claim();
}

void connection_actor::on_exit_message(const caf::strong_actor_ptr&, const caf::error& reason) {
  if (!reason || reason == caf::exit_reason::normal)
    return; // a linked actor that ended normally takes nobody along
  if (reason == caf::exit_reason::user_shutdown)
    stream_.close();
  else
    stream_.abort();
}

void connection_actor::on_down_message(const caf::strong_actor_ptr& source, const caf::error& reason) {
  if (source != owner_)
    return;
  if (!reason || reason == caf::exit_reason::normal || reason == caf::exit_reason::user_shutdown) {
    stream_.close(net::close_reason::owner_gone);
  } else {
    log_end_of_handler(reason);
    stream_.abort(net::close_reason::owner_gone, errc::owner_gone);
  }
}

/// Of an accepted connection: nobody else may hear of it. Whoever connected has an actor that watches the handler's
/// end.
void connection_actor::log_end_of_handler(const caf::error& reason) {
  const auto book = slot_ ? slot_->book() : nullptr;
  if (!book || reason == errc::shutting_down || !net::log_enabled(net::log_level::warning))
    return;
  auto where = book->path();
  if (where.empty())
    if (auto local = stream_.socket().local_endpoint())
      where = local->to_string();
  net::log_limited(net::log_level::warning, "handler",
                   where + "/" + peer_.to_string() +
                       ": the handler ended: " + (reason == caf::exit_reason::kill ? "killed" : to_text(reason)));
}

void connection_actor::abort_now(net::errc cause) {
  stream_.abort(cause == errc::other ? net::close_reason::error : net::close_reason::aborted, cause);
}

bool connection_actor::quiescent() const noexcept {
  return !stream_.is_deferred();
}

// -- events ------------------------------------------------------------------------------------------

void connection_actor::on_received(net::bytes&& payload) noexcept {
  tell(owner_, hosted_owner_, stream::received{std::move(payload)});
}

bool connection_actor::on_peer_finished() noexcept {
  stream::peer_finished event;
  if (tell_now(hosted_owner_, event))
    return true;
  // Sent as a request: its answer tells that the owner has dealt with it and with everything before it, and so that
  // what the owner wrote in reply has come before the close that may follow. Who answers says nothing: behind a stable
  // handle it is the child.
  send(owner_, caf::make_message_id(++ends_told_), event);
  return false;
}

void connection_actor::on_writable() noexcept {
  for (auto& who : std::exchange(refused_, {}))
    if (who != owner_)
      send(who, caf::make_message_id(), stream::writable{});
  tell(owner_, hosted_owner_, stream::writable{});
}

caf::strong_actor_ptr connection_actor::sender_of(outgoing& item) {
  if (item.owner == outgoing::no_owner)
    return std::move(item.sender);
  return item.owner < former_owners_.size() ? former_owners_[item.owner] : owner_;
}

void connection_actor::on_outcome(net::write_item& done, std::error_code cause) noexcept {
  std::unique_ptr<outgoing> item{static_cast<outgoing*>(&done)};
  if (const auto waiter = item->waiter) {
    waiter->item_ = nullptr;
    waiter->on_written(item->sent, cause);
    return;
  }
  const auto is_finish = item->what == net::write_item::kind::finish;
  if (!cause && item->token == 0 && !is_finish && !item->request.is_request())
    return;
  const auto whom = sender_of(*item);
  if (!whom)
    return;
  if (item->full && cause == errc::queue_full && std::find(refused_.begin(), refused_.end(), whom) == refused_.end())
    refused_.push_back(whom);
  if (item->request.is_request()) {
    const auto id = item->request.response_id();
    if (cause)
      send(whom, id, make_error(static_cast<errc>(cause.value()), item->sent));
    else if (is_finish)
      send(whom, id, stream::finished{});
    else
      send(whom, id, stream::written{item->token, item->sent, {}});
  } else if (is_finish) {
    send(whom, caf::make_message_id(), stream::finished{make_error(cause)});
  } else {
    send(whom, caf::make_message_id(), stream::written{item->token, item->sent, make_error(cause)});
  }
}

void connection_actor::on_closed(net::close_reason reason, std::error_code cause) noexcept {
  refused_.clear();
  former_owners_.clear();
  ended_with_ = {reason, make_error(cause)};
  const auto owner = std::exchange(owner_, nullptr);
  if (owner) {
    unwatch(owner);
    told_of_end_ = owner->aid;
    tell(owner, std::exchange(hosted_owner_, nullptr), stream::closed{ended_with_});
  }
  if (auto book = slot_ ? slot_->book() : nullptr)
    book->ended(home(), stream_.counters());
  slot_ = nullptr;
  end(cause ? make_error(cause) : caf::error{});
}

std::string connection_actor::owner_name() const {
  return actnet::describe(*caf::actor_cast<caf::abstract_actor*>(owner_));
}

stream::info connection_actor::describe() {
  stream::info info;
  info.state = stream_.state();
  info.peer = peer_;
  auto& socket = stream_.socket();
  if (socket)
    if (auto local = socket.local_endpoint())
      info.local = *local;
  const auto& counters = stream_.counters();
  info.bytes_received = counters.bytes_received;
  info.bytes_sent = counters.bytes_sent;
  info.reads = counters.reads;
  info.writes_done = counters.writes_done;
  info.writes_failed = counters.writes_failed;
  info.writes_refused = counters.writes_refused;
  info.queued_bytes = stream_.queued_bytes();
  info.credit_outstanding = stream_.credit_outstanding();
  info.reading_paused = stream_.reading_paused();
  info.starved = stream_.starved();
  if (const auto deadline = stream_.deadline())
    info.deadline_in = *deadline - home().loop().time().now();
  info.last_error = make_error(stream_.last_error());
  if (auto peer = socket.credentials())
    info.credentials = *peer;
  if (socket && peer_.transport() == net::transport::tcp) {
    tcp_info details{};
    socklen_t size = sizeof details;
    if (net::sys().getsockopt(socket.fd(), IPPROTO_TCP, TCP_INFO, &details, &size) == 0) {
      info.round_trip_time = std::chrono::microseconds{details.tcpi_rtt};
      info.congestion_window = details.tcpi_snd_cwnd;
      info.retransmits = details.tcpi_total_retrans;
    }
  }
  return info;
}

} // namespace actnet
