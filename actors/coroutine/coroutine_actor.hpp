// An actor whose behaviour is a coroutine.
#pragma once

#include "actnet/actors/coroutine/task.hpp"
#include "actnet/actors/handler.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/message.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace actnet::coroutine {

/// To a coroutine actor, from itself: coroutines of it are ready to go on.
struct wake {};

/// A message that was not awaited yet, or has just been.
class incoming {
 public:
  incoming() = default;
  incoming(caf::message c, caf::strong_actor_ptr from, response_promise answer)
      : content(std::move(c)), sender(std::move(from)), promise(std::move(answer)) {}

  caf::message content;
  caf::strong_actor_ptr sender;
  response_promise promise; ///< Of nobody if it is no request.
};

/// Who waits for a message. In the frame of a coroutine.
class receiver {
 public:
  receiver() = default;
  receiver(const receiver&) = delete;
  receiver& operator=(const receiver&) = delete;

  virtual bool wants(const caf::message& content) const noexcept = 0;
  virtual void take(incoming message) = 0;

 protected:
  ~receiver() = default;

 private:
  friend class coroutine_actor;
  receiver* next_ = nullptr;
};

/// What a program's first coroutine is.
struct program_coroutine {};

/// Runs a coroutine on its loop and ends with it: normally, or with what it threw. When it ends otherwise the coroutine
/// is destroyed, in the loop's thread, and with it all that it waits for; streams of one that failed are aborted.
class coroutine_actor final : public handler, private net::deferred {
 public:
  coroutine_actor(caf::actor_config& cfg, task<> body);
  /// The program ends with it, with exit code 1 and a line on stderr if it throws.
  coroutine_actor(caf::actor_config& cfg, task<> body, program_coroutine);

  const char* name() const override { return "actnet.coroutine"; }
  caf::behavior make_behavior() override;
  bool cleanup(caf::error&& reason, caf::execution_unit* unit) override;

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

 private:
  void serve() noexcept override;
  void run_ready();
  void finish_if_done();
  void keep(incoming message);

  task<> body_;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;
  std::vector<incoming> inbox_;
  receiver* first_receiver_ = nullptr;
  std::uint64_t turn_ = 0;
  std::uint32_t resumed_ = 0; // in that turn
  bool awake_ = false;        // a `wake` is under way
  bool is_program_ = false;
};

} // namespace actnet::coroutine

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::coroutine::wake)
