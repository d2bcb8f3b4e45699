// An actor that runs a coroutine.
#pragma once

#include "actnet/actors/coroutine/task.hpp"
#include "actnet/actors/lean_actor.hpp"

#include <caf/actor.hpp>
#include <caf/message.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace actnet::coroutine {

/// The answer that a request is due; broken (an error) if it is dropped.
class answer_due {
 public:
  answer_due() = default;
  answer_due(caf::strong_actor_ptr from, caf::strong_actor_ptr to, caf::message_id request) noexcept
      : from_(std::move(from)), to_(std::move(to)), id_(request) {}
  answer_due(answer_due&&) noexcept = default;
  answer_due& operator=(answer_due&& other) noexcept {
    std::swap(from_, other.from_);
    std::swap(to_, other.to_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~answer_due();

  bool pending() const noexcept { return static_cast<bool>(to_); }
  void deliver(caf::message answer);

 private:
  caf::strong_actor_ptr from_;
  caf::strong_actor_ptr to_;
  caf::message_id id_;
};

/// A message on its way to whoever awaits it.
class incoming {
 public:
  incoming() = default;
  incoming(caf::message c, caf::strong_actor_ptr from, answer_due answer) noexcept
      : content(std::move(c)), sender(std::move(from)), due(std::move(answer)) {}

  caf::message content;
  caf::strong_actor_ptr sender;
  answer_due due; ///< Of nobody if it is no request.
};

class receiver;

/// The place of a receiver among those that wait; a base that has the friend.
class receiver_place {
  friend class coroutine_actor;
  receiver* next_ = nullptr;
};

/// Who waits for a message. In the frame of a coroutine.
class receiver : public receiver_place {
 public:
  receiver() = default;
  receiver(const receiver&) = delete;
  receiver& operator=(const receiver&) = delete;

  virtual bool wants(const caf::message& content) const noexcept = 0;
  virtual void take(incoming message) = 0;

 protected:
  ~receiver() = default;
};

/// Who waits for the answer to a request. In the frame of a coroutine.
class asker {
 public:
  asker() = default;
  asker(const asker&) = delete;
  asker& operator=(const asker&) = delete;

  virtual void answered(caf::message answer) = 0;

 protected:
  ~asker() = default;
};

/// Runs a coroutine on its loop and ends with it: normally, or with what it threw. When it ends otherwise the coroutine
/// is destroyed, in the loop's thread, and with it all that it waits for; streams of one that failed are aborted.
/// Messages wait until they are awaited, but for `drain`, which ends one that nobody waits for.
class coroutine_actor final : public lean_actor {
 public:
  enum class role : std::uint8_t {
    any,
    program,         ///< `actnet::run` does not end before it, and ends with 1 if it throws. `drain` ends it.
    part_of_program, ///< `actnet::run` does not end before it. `drain` is for whoever awaits it.
  };

  coroutine_actor(caf::actor_config& cfg, loop_host& home, task<> body, role is = role::any);
  ~coroutine_actor() override;

  /// Makes and starts one. Any thread.
  static caf::actor make(loop_host& home, task<> body, role is = role::any);

  const char* name() const override { return "actnet.coroutine"; }

  // -- for what coroutines of it await; its loop's thread -----------------------------------------

  /// Resumes it later in this turn, or in a later one if this one has resumed many.
  void resume_soon(std::coroutine_handle<> who);
  /// It is destroyed.
  void forget(std::coroutine_handle<> who) noexcept;
  /// Whether a coroutine may go on without a pause, after something that was there at once.
  bool may_go_on() noexcept;

  void receive(receiver& who);
  void stop_receiving(receiver& who) noexcept;
  void put_back(incoming message);

  void ask(const caf::actor& whom, caf::message question, asker& who);
  void stop_asking(asker& who) noexcept;

  /// `receive<caf::down_msg>` tells the end of `whom`.
  void monitor(const caf::actor& whom);

 private:
  class end_of_turn final : public net::deferred {
   public:
    explicit end_of_turn(coroutine_actor& self) noexcept : self_(self) {}
    void serve() noexcept override { self_.run_ready(); }

   private:
    coroutine_actor& self_;
  };

  void begin() override;
  void cannot_begin(const caf::error& cause) override;
  bool note(caf::mailbox_element&) override { return false; }
  void on_message(caf::mailbox_element& command) override;
  void on_exit_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void on_down_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void abort_now(net::errc cause) override;
  bool quiescent() const noexcept override { return !at_end_of_turn_.is_deferred(); }

  void run_ready() noexcept;
  bool hand_over(incoming& message);
  void keep(incoming message);
  void follow(incoming order);
  void follow_drain_put_back();
  void end_with(caf::error reason);
  static void run_later(void* self, void*) noexcept;

  end_of_turn at_end_of_turn_{*this};
  task<> body_;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;
  std::vector<incoming> inbox_;
  std::vector<std::pair<std::uint64_t, asker*>> asked_;
  receiver* first_receiver_ = nullptr;
  std::uint64_t last_asked_ = 0;
  std::uint64_t turn_ = 0;
  std::uint32_t resumed_ = 0; // in that turn
  role is_;
  bool in_later_turn_ = false;
};

} // namespace actnet::coroutine
