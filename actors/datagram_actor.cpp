#include "actnet/actors/datagram_actor.hpp"

#include "actnet/actors/address_hints.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/make_lean.hpp"
#include "actnet/actors/supervision/supervisor_actor.hpp"
#include "actnet/actors/unheard.hpp"
#include "actnet/net/log.hpp"
#include "actnet/net/loop/waits.hpp"

#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>

#include <algorithm>
#include <memory>

namespace actnet {

namespace {

/// For what is queued to be sent when the socket is closed; a drain brings a deadline of its own.
constexpr std::chrono::milliseconds close_timeout{5'000};

/// Nothing announces room at a Unix receiver that the socket is not connected to.
constexpr std::chrono::milliseconds full_receiver_retry{5};

} // namespace

datagram_actor::datagram_actor(caf::actor_config& cfg, loop_host& home, net::endpoint local, bind_options options,
                               caf::strong_actor_ptr opener, datagram_handler_factory make_handler,
                               std::shared_ptr<kept_datagram_socket> kept)
    : lean_actor(cfg, home),
      wanted_local_(std::move(local)),
      options_(std::move(options)),
      opener_(std::move(opener)),
      make_handler_(std::move(make_handler)),
      kept_(std::move(kept)),
      credit_(net::credit_account::open(home.loop().bell(), &home.loop().pool())) {}

datagram_actor::~datagram_actor() {
  credit_->close();
}

caf::strong_actor_ptr datagram_actor::make(loop_host& home, net::endpoint local, bind_options options,
                                           caf::strong_actor_ptr opener, datagram_handler_factory make_handler,
                                           std::shared_ptr<kept_datagram_socket> kept) {
  return make_lean<datagram_actor>(home, std::move(local), std::move(options), std::move(opener),
                                   std::move(make_handler), std::move(kept));
}

// -- beginning ---------------------------------------------------------------------------------------

std::error_code datagram_actor::open() {
  if (kept_)
    socket_ = kept_->take();
  if (!socket_) {
    auto opened = net::datagram_socket::open(wanted_local_, options_.sockets.list, options_.path_mode);
    if (!opened)
      return opened.error();
    socket_ = std::move(*opened);
  }
  auto local = socket_.local_endpoint();
  if (!local)
    return local.error();
  counters_.local = *local;
  auto channel = home().loop().io().open(socket_, *this);
  if (!channel)
    return channel.error();
  channel_ = *channel;
  if (socket_.path())
    path_watch_.emplace(home().loop(), socket_);
  return {};
}

void datagram_actor::begin() {
  if (auto cause = open()) {
    fail_to_open(cannot_open(cause, wanted_local_));
    return;
  }
  const datagram_socket me{*this};
  auto owner = opener_;
  if (make_handler_) {
    try {
      owner = caf::actor_cast<caf::strong_actor_ptr>(make_handler_(home(), me));
    } catch (...) {
      const auto why = "its handler could not be made: " + to_text(std::current_exception());
      net::log_limited(net::log_level::error, "actor", counters_.local.to_string() + ": " + why);
      fail_to_open(make_error(errc::other, why));
      return;
    }
    make_handler_ = nullptr;
  }
  if (opener_ && opener_ != owner)
    send(opener_, caf::make_message_id(),
         bound{kept_ && kept_->handle() ? datagram_socket{kept_->handle()} : me, counters_.local});
  if (kept_)
    send(opener_, caf::make_message_id(), child_began{});
  opener_ = nullptr;
  born_to(std::move(owner));
  if (owner_) {
    watch(owner_);
    send(owner_, caf::make_message_id(), bound{me, counters_.local});
  }
  update_reading();
}

void datagram_actor::cannot_begin(const caf::error& cause) {
  if (opener_)
    send(std::exchange(opener_, nullptr), caf::make_message_id(), bind_failed{wanted_local_, cause});
  else
    log_unheard("bind", wanted_local_, cause);
}

void datagram_actor::fail_to_open(const caf::error& cause) {
  path_watch_.reset();
  if (channel_ != net::channel::none)
    home().loop().io().close(std::exchange(channel_, net::channel::none));
  if (kept_ && socket_)
    kept_->put(std::move(socket_));
  kept_ = nullptr;
  socket_.close();
  cannot_begin(cause);
  end(cause);
}

void datagram_actor::born_to(caf::strong_actor_ptr owner) {
  owner_ = std::move(owner);
  hosted_owner_ = as_hosted(owner_);
}

// -- sending -----------------------------------------------------------------------------------------

/// An empty datagram takes room in the queue too.
bool datagram_actor::reserve(outgoing& item, std::size_t payload_bytes) noexcept {
  item.room = payload_bytes + sizeof(outgoing);
  const auto limit = options_.write_high_bytes;
  if (home().is_current() ? reserved_.take_here(item.room, limit) : reserved_.take(item.room, limit))
    return true;
  item.refusal = errc::queue_full;
  return false;
}

void datagram_actor::send_datagram(net::bytes&& payload, const net::endpoint* to, std::uint64_t token,
                                   caf::abstract_actor* sender, const std::optional<net::ip_address>& from) {
  const auto here = home().is_current() && !ended();
  if (here && !takes_at_once()) { // not begun: by its handler's constructor
    enqueue(caf::make_mailbox_element(
                sender ? caf::strong_actor_ptr{sender->ctrl()} : nullptr, caf::make_message_id(), {},
                datagram::send{std::move(payload), to ? std::optional{*to} : std::nullopt, token, from}),
            nullptr);
    return;
  }
  const auto room = payload.size() + sizeof(outgoing);
  if (here && !closing_ && !abort_asked_ && reserved_.take_here(room, options_.write_high_bytes)) {
    auto& item = queue_.push();
    item.payload = std::move(payload);
    item.room = room;
    if (to)
      item.to = *to;
    item.from = from;
    item.token = token;
    item.by_owner = sender && sender->ctrl() == owner_.get();
    if (sender && !item.by_owner)
      item.sender = caf::strong_actor_ptr{sender->ctrl()};
    defer();
    return;
  }
  outgoing item;
  if (to)
    item.to = *to;
  item.from = from;
  item.token = token;
  if (sender)
    item.sender = caf::strong_actor_ptr{sender->ctrl()};
  if (reserve(item, payload.size()))
    item.payload = std::move(payload);
  if (home().is_current()) {
    queue(std::move(item));
    return;
  }
  post(std::make_unique<outgoing>(std::move(item)));
}

/// From another thread.
void datagram_actor::post(std::unique_ptr<outgoing> item) {
  intrusive_ptr_add_ref(ctrl());
  if (home().loop().post(&run_queue, this, item.get())) {
    (void)item.release();
    return;
  }
  if (item->sender) { // the loop has ended; the outcome comes from this thread
    auto cause = make_error(errc::shutting_down);
    if (item->request.is_request())
      item->sender->enqueue(ctrl(), item->request.response_id(), caf::make_message(std::move(cause)), nullptr);
    else
      item->sender->enqueue(ctrl(), caf::make_message_id(),
                            caf::make_message(datagram::sent{item->token, std::move(cause)}), nullptr);
  }
  intrusive_ptr_release(ctrl());
}

void datagram_actor::run_queue(void* self, void* item) noexcept {
  auto& me = *static_cast<datagram_actor*>(self);
  std::unique_ptr<outgoing> arrived{static_cast<outgoing*>(item)};
  me.queue(std::move(*arrived));
  intrusive_ptr_release(me.ctrl());
}

void datagram_actor::queue(outgoing item) noexcept {
  if (ended()) {
    keep_for_this_turn();
    if (item.refusal != errc::none)
      item.refusal = errc::closed; // there will be no room either
  } else if (item.refusal == errc::queue_full) {
    passed_high_ = true;
  }
  if (item.refusal == errc::none && (ended() || closing_ || abort_asked_)) {
    reserved_.give_back(item.room);
    item.payload = {};
    item.refusal = errc::closed;
  }
  if (item.refusal == errc::none)
    queue_.push(std::move(item));
  else
    refused_.push_back(std::move(item));
  defer();
}

net::result<net::bytes> datagram_actor::content_of(net::file_source& file) {
  if (auto opened = file.open(); !opened)
    return net::failure{opened.error()};
  if (file.size() > net::file_source::buffer_bytes)
    return net::failure{errc::message_too_large};
  if (file.size() == 0)
    return net::bytes{};
  file.copy_from_now_on();
  const auto all = file.copy(0);
  if (!all)
    return net::failure{all.error()};
  if (all->size() < file.size())
    return net::failure{errc::file_too_short};
  return net::bytes::copy(*all);
}

std::size_t datagram_actor::gather(std::span<net::outgoing_datagram> next) noexcept {
  for (auto first = queue_.next(0); first && first->file; first = queue_.next(0)) {
    auto content = content_of(*first->file);
    first->file = nullptr;
    if (content)
      first->payload = std::move(*content);
    else
      on_datagram_sent(content.error());
  }
  std::size_t count = 0;
  for (; count < next.size(); ++count) {
    const auto* each = queue_.next(count);
    if (!each || each->file)
      break;
    next[count] = {{each->payload.data(), each->payload.size()},
                   each->to ? &*each->to : nullptr,
                   each->from ? &*each->from : nullptr};
  }
  return count;
}

void datagram_actor::on_datagram_sent(std::error_code cause) noexcept {
  const auto now = home().loop().now();
  if (cause) {
    auto item = queue_.take(now);
    end_unsent(item, cause);
  } else {
    const auto& first = queue_.first();
    reserved_.give_back(first.room);
    ++counters_.sent;
    counters_.sent_bytes += first.payload.size();
    if (first.token == 0 && !first.request.is_request()) { // nobody is to hear of it
      queue_.drop(now);
    } else {
      auto item = queue_.take(now);
      tell_outcome(item, {});
    }
  }
  if (stall_.armed())
    last_step_ = now;
  if (passed_high_ || closing_ || stall_.armed())
    defer();
}

bool datagram_actor::on_receiver_full() noexcept {
  const auto now = home().loop().now();
  queue_.put_apart(now);
  if (!retry_.armed())
    home().loop().timers().arm(retry_, net::later(now, full_receiver_retry));
  return true;
}

/// Who has room by now is not judged by how long we did not ask.
void datagram_actor::try_receivers_again(net::time_point now) noexcept {
  queue_.try_again();
  home().loop().io().send(channel_);
  if (options_.write_stall.count() > 0 && !queue_.is_trying())
    for (auto& item : queue_.take_stalled(now, options_.write_stall))
      end_unsent(item, errc::write_stalled);
  defer();
}

void datagram_actor::watch_stall() noexcept {
  auto& timers = home().loop().judging_timers();
  if (!queue_.has_line()) {
    timers.cancel(stall_);
  } else if (!stall_.armed() && options_.write_stall.count() > 0) {
    last_step_ = home().loop().exactly_now();
    timers.arm(stall_, net::later(last_step_, options_.write_stall));
  }
}

void datagram_actor::judge_stall(net::time_point now) noexcept {
  const auto limit = net::later(last_step_, options_.write_stall);
  if (now < limit) {
    home().loop().judging_timers().arm(stall_, limit);
    return;
  }
  for (auto& item : queue_.take_first_of_line())
    end_unsent(item, errc::write_stalled);
  defer();
}

void datagram_actor::end_unsent(outgoing& item, std::error_code cause) noexcept {
  reserved_.give_back(item.room);
  ++counters_.send_failed;
  tell_outcome(item, cause);
}

void datagram_actor::tell_outcome(outgoing& item, std::error_code cause) {
  const auto whom = item.by_owner ? owner_ : item.sender;
  if (!whom)
    return;
  if (cause == errc::queue_full && std::find(waiting_.begin(), waiting_.end(), whom) == waiting_.end())
    waiting_.push_back(whom);
  if (item.request.is_request() && cause)
    send(whom, item.request.response_id(), make_error(cause));
  else if (item.request.is_request())
    send(whom, item.request.response_id(), datagram::sent{item.token, {}});
  else if (cause || item.token != 0)
    send(whom, caf::make_message_id(), datagram::sent{item.token, make_error(cause)});
}

// -- receiving ---------------------------------------------------------------------------------------

bool datagram_actor::on_datagram(net::bytes payload, const net::received_datagram& info) noexcept {
  ++counters_.received;
  counters_.received_bytes += payload.size();
  counters_.truncated += info.truncated;
  payload.charge_to(*credit_);
  tell(owner_, hosted_owner_, datagram::received{std::move(payload), info.from, info.to, info.truncated, info.to_many});
  if (credit_->outstanding() >= options_.read_credit_bytes)
    update_reading();
  return takes_at_once() && !closing_ && !abort_asked_; // what was commanded meanwhile comes first
}

void datagram_actor::on_receive_error(std::error_code cause) noexcept {
  ++counters_.receive_errors;
  if (net::log_enabled(net::log_level::debug))
    net::log_limited(net::log_level::debug, "datagram", counters_.local.to_string() + ": " + cause.message());
}

void datagram_actor::update_reading() noexcept {
  const auto wanted = !paused_ && !closing_ && owner_;
  auto starves = wanted && credit_->outstanding() >= options_.read_credit_bytes;
  if (starves) {
    credit_->await_release();
    starves = credit_->outstanding() >= options_.read_credit_bytes;
    if (!starves)
      credit_->stop_awaiting();
  }
  if (starves != starved_) {
    starved_ = starves;
    if (starves) {
      home().loop().await_credit(at_end_of_turn_);
    } else {
      credit_->stop_awaiting();
      home().loop().stop_awaiting_credit(at_end_of_turn_);
    }
  }
  const auto read = wanted && !starves;
  if (read == reading_)
    return;
  reading_ = read;
  if (read)
    home().loop().io().start_reading(channel_);
  else
    home().loop().io().stop_reading(channel_);
}

// -- the end of a turn -------------------------------------------------------------------------------

void datagram_actor::finish_turn() noexcept {
  const net::check_at_end check{[this] { check_waits(); }};
  for (auto& item : std::exchange(refused_, {})) {
    ++counters_.send_failed;
    tell_outcome(item, item.refusal);
  }
  if (ended() || channel_ == net::channel::none)
    return;
  if (abort_asked_) {
    close(ending_, ending_cause_);
    return;
  }
  if (!queue_.empty())
    home().loop().io().send(channel_);
  if (queue_.has_line() || stall_.armed())
    watch_stall();
  if (closing_ && queue_.empty()) {
    close(ending_, ending_cause_);
    return;
  }
  if (passed_high_ && reserved_.taken() <= options_.write_low_bytes) {
    passed_high_ = false;
    for (auto& who : std::exchange(waiting_, {}))
      if (who != owner_)
        send(who, caf::make_message_id(), datagram::writable{});
    tell(owner_, hosted_owner_, datagram::writable{});
  }
  update_reading();
}

/// Who wakes it: the backend from sending and reading, timers, credit.
void datagram_actor::check_waits() const noexcept {
  if (at_end_of_turn_.is_deferred())
    return; // it comes again in this turn
  const auto over = ended() || channel_ == net::channel::none;
  const net::waits_check check{"datagram socket", over ? "closed" : closing_ ? "closing" : "open"};
  check(!refused_.empty(), "a refused datagram");
  check(over && (!queue_.empty() || armed() || retry_.armed()), "what was to be let go of");
  if (over)
    return;
  check(abort_asked_, "an abort");
  check(!queue_.empty(), "a queued datagram", queue_.has_next(), retry_.armed());
  check(closing_, "the close", !queue_.empty());
  check(closing_, "the timeout of the close", armed());
  check(passed_high_, "the word that the queue is writable", reserved_.taken() > options_.write_low_bytes);
  check(!paused_ && !closing_ && owner_, "reading", reading_, starved_);
}

void datagram_actor::close(close_reason reason, std::error_code cause) noexcept {
  credit_->leave_home();
  if (starved_) {
    credit_->stop_awaiting();
    home().loop().stop_awaiting_credit(at_end_of_turn_);
  }
  home().loop().timers().cancel(*this);
  home().loop().timers().cancel(retry_);
  home().loop().judging_timers().cancel(stall_);
  path_watch_.reset();
  home().loop().io().close(std::exchange(channel_, net::channel::none));
  counters_.dropped = socket_.dropped();
  if (kept_ && (leaves_socket_ || cause))
    kept_->put(std::move(socket_));
  kept_ = nullptr;
  socket_.close();
  closing_ = true;
  for (auto& item : queue_.take_all())
    end_unsent(item, cause ? cause : net::make_error_code(errc::closed));
  waiting_.clear();
  ended_with_ = {reason, make_error(cause)};
  const auto owner = std::exchange(owner_, nullptr);
  if (owner) {
    unwatch(owner);
    told_of_end_ = owner->aid;
    tell(owner, std::exchange(hosted_owner_, nullptr), datagram::closed{ended_with_});
  }
  end(make_error(cause));
}

// -- commands ----------------------------------------------------------------------------------------

namespace {

/// What a datagram that comes as a message takes in memory on its way to the loop; 0: it is another command.
std::size_t room_on_the_way(const caf::mailbox_element& command, std::uint64_t* token = nullptr) {
  const auto& content = command.content();
  const auto found = [token](std::uint64_t its_token, std::size_t bytes) {
    if (token)
      *token = its_token;
    return bytes + sizeof(queued_datagram);
  };
  if (content.size() != 1 || command.mid.is_response())
    return 0;
  if (content.match_elements<datagram::send>())
    return found(content.get_as<datagram::send>(0).token, content.get_as<datagram::send>(0).payload.size());
  if (content.match_elements<datagram::send_file>())
    return found(content.get_as<datagram::send_file>(0).token, content.get_as<datagram::send_file>(0).path.size());
  return 0;
}

} // namespace

/// It takes room in the queue only when the loop has it: what waits before it there may be a `close`.
bool datagram_actor::admit(caf::mailbox_element& command) {
  std::uint64_t token = 0;
  const auto room = room_on_the_way(command, &token);
  if (room == 0 || on_the_way_.take(room, options_.write_high_bytes))
    return true;
  auto refused = std::make_unique<outgoing>();
  refused->sender = std::move(command.sender);
  refused->request = command.mid;
  refused->token = token;
  refused->refusal = errc::queue_full;
  post(std::move(refused));
  return false;
}

void datagram_actor::take_in(const caf::mailbox_element& command) noexcept {
  on_the_way_.give_back(room_on_the_way(command));
}

bool datagram_actor::note(caf::mailbox_element& command) {
  auto& content = command.content();
  if (content.match_elements<datagram::close>()) { // what is sent after it in the same turn comes too late
    close_within(close_timeout);
    return !command.mid.is_request(); // which is answered at the end of the turn
  }
  outgoing item;
  item.sender = command.sender;
  item.request = command.mid;
  if (content.match_elements<datagram::send>()) {
    const auto& order = content.get_as<datagram::send>(0);
    item.to = order.to;
    item.from = order.from;
    item.token = order.token;
    if (reserve(item, order.payload.size()))
      item.payload = order.payload;
  } else if (content.match_elements<datagram::send_file>()) {
    const auto& order = content.get_as<datagram::send_file>(0);
    item.to = order.to;
    item.from = order.from;
    item.token = order.token;
    if (reserve(item, order.path.size()))
      item.file = std::make_unique<net::file_source>(order.path, order.offset, order.count);
  } else {
    return false;
  }
  queue(std::move(item));
  return true;
}

void datagram_actor::on_message(caf::mailbox_element& command) {
  auto& content = command.content();
  auto failed = caf::error{};
  const auto check = [&failed](const net::result<void>& done) {
    if (!done && !failed)
      failed = make_error(done.error());
  };
  if (content.match_elements<datagram::connect>() || content.match_elements<datagram::disconnect>())
    queue_.for_each([this](outgoing& item) { // what was sent before is for the peer of then
      if (!item.to)
        item.to = counters_.peer;
    });
  if (content.match_elements<datagram::connect>()) {
    const auto& peer = content.get_as<datagram::connect>(0).peer;
    const auto done = socket_.connect(peer);
    check(done);
    if (done) {
      counters_.peer = peer;
      if (auto local = socket_.local_endpoint()) // the kernel may have chosen an address only now
        counters_.local = *local;
    }
  } else if (content.match_elements<datagram::disconnect>()) {
    check(socket_.disconnect());
    counters_.peer = std::nullopt;
  } else if (content.match_elements<datagram::join_group>()) {
    check(socket_.set(content.get_as<datagram::join_group>(0).group));
  } else if (content.match_elements<datagram::leave_group>()) {
    check(socket_.set(content.get_as<datagram::leave_group>(0).group));
  } else if (content.match_elements<datagram::set_options>()) {
    for (const auto& option : content.get_as<datagram::set_options>(0).options.list)
      check(socket_.set(option));
  } else if (content.match_elements<datagram::pause_reading>()) {
    paused_ = true;
    defer();
  } else if (content.match_elements<datagram::resume_reading>()) {
    paused_ = false;
    defer();
  } else if (content.match_elements<datagram::set_owner>()) {
    const auto& owner = content.get_as<datagram::set_owner>(0).owner;
    if (!owner || owner->node() != home().system().node()) {
      failed = make_error(errc::invalid_argument, "a datagram socket needs an owner in its own process");
    } else if (owner != owner_) {
      queue_.for_each([this](outgoing& item) {
        if (std::exchange(item.by_owner, false))
          item.sender = owner_;
      });
      if (owner_)
        unwatch(owner_);
      born_to(owner);
      watch(owner_);
      defer();
    }
  } else if (content.match_elements<datagram::close>()) {
    // it was noted
  } else if (content.match_elements<drain>()) {
    close_within(content.get_as<drain>(0).deadline);
  } else if (content.match_elements<stand_down>()) {
    leaves_socket_ = true;
    close_within(content.get_as<stand_down>(0).deadline);
  } else if (content.match_elements<datagram::get_info>()) {
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

void datagram_actor::after_end(caf::mailbox_element& command) {
  auto& content = command.content();
  if (content.match_elements<datagram::get_info>())
    answer(command, describe());
  else if (content.match_elements<datagram::close>() || content.match_elements<drain>())
    answer(command, caf::ok_atom_v);
  else if (content.match_elements<datagram::set_owner>()) {
    const auto& owner = content.get_as<datagram::set_owner>(0).owner;
    if (owner && owner->aid != told_of_end_) {
      told_of_end_ = owner->aid;
      send(owner, caf::make_message_id(), ended_with_);
    }
    answer(command, make_error(errc::closed));
  } else {
    lean_actor::after_end(command);
  }
}

caf::message datagram_actor::failure_of(const caf::type_erased_tuple& command, const caf::error& cause) const {
  if (command.match_elements<datagram::send>())
    return caf::make_message(datagram::sent{command.get_as<datagram::send>(0).token, cause});
  if (command.match_elements<datagram::send_file>())
    return caf::make_message(datagram::sent{command.get_as<datagram::send_file>(0).token, cause});
  return {};
}

datagram::info datagram_actor::describe() {
  auto info = counters_;
  info.queued_bytes = 0;
  queue_.for_each([&info](const outgoing& item) { info.queued_bytes += item.payload.size(); });
  if (socket_)
    info.dropped = socket_.dropped();
  info.credit_outstanding = credit_->outstanding();
  info.path_lost = socket_.path().is_lost();
  return info;
}

void datagram_actor::on_exit_message(const caf::strong_actor_ptr&, const caf::error& reason) {
  if (!reason || reason == caf::exit_reason::normal)
    return;
  if (reason == caf::exit_reason::user_shutdown)
    close_within(close_timeout);
  else
    abort_now(errc::aborted);
}

void datagram_actor::on_down_message(const caf::strong_actor_ptr& source, const caf::error& reason) {
  if (source != owner_)
    return;
  ending_ = close_reason::owner_gone;
  if (!reason || reason == caf::exit_reason::normal || reason == caf::exit_reason::user_shutdown) {
    close_within(close_timeout);
  } else {
    abort_asked_ = true;
    ending_cause_ = errc::owner_gone;
    defer();
  }
}

/// Sends what is queued, for so long at the most.
void datagram_actor::close_within(std::chrono::milliseconds deadline) noexcept {
  closing_ = true;
  const auto until = home().loop().deadline_in(deadline);
  if (!armed() || until < timer::deadline())
    home().loop().timers().arm(*this, until);
  defer();
}

/// What is queued could not be sent in time.
void datagram_actor::on_timer(net::time_point) noexcept {
  abort_asked_ = true;
  ending_cause_ = errc::timed_out;
  defer();
}

void datagram_actor::abort_now(errc cause) {
  abort_asked_ = true;
  ending_ = close_reason::aborted;
  ending_cause_ = cause;
  defer();
}

void datagram_actor::defer() noexcept {
  home().loop().defer(at_end_of_turn_);
}

bool datagram_actor::quiescent() const noexcept {
  return !at_end_of_turn_.is_deferred();
}

} // namespace actnet
