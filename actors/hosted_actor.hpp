// An event-based actor that lives on a loop, if it is spawned on one.
#pragma once

#include <caf/event_based_actor.hpp>

#include <cstdint>
#include <type_traits>
#include <utility>

namespace actnet {

class loop_host;

/// What became of an event that was handed to an actor on the stack.
enum class delivery : std::uint8_t { done, ended, skipped };

/// Where it lives is where it is spawned: a configuration whose host is a loop (`spawn_on`, or a parent that lives on
/// one) makes it live there and be resumed by that loop's thread only; otherwise it is an ordinary actor of CAF's
/// scheduler, and everything here works as in its base class.
class hosted_actor : public caf::event_based_actor {
 public:
  explicit hosted_actor(caf::actor_config& cfg);

  /// The loop it lives on, or null.
  loop_host* home() const noexcept { return home_; }

  /// Whether an event may be handed to it on the stack: it lives on the calling thread's loop, is initialised and has
  /// nothing else to look at first. Otherwise an event would overtake messages that wait, or strand skipped ones.
  bool idle() noexcept;

  /// Hands it an element that lives on the caller's stack. Only while `idle`, from the bottom of the loop's stack. A
  /// skipped element is for the caller to put into the mailbox.
  delivery deliver(caf::mailbox_element& element);

  using caf::event_based_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) override;
  void launch(caf::execution_unit* unit, bool lazy, bool hide) override;
  caf::resumable::subtype_t subtype() const override;
  resume_result resume(caf::execution_unit* unit, std::size_t max_throughput) override;
  bool cleanup(caf::error&& reason, caf::execution_unit* unit) override;

 private:
  friend class loop_host;

  delivery deliver_by_default(caf::mailbox_element& element);

  /// Only `on_exit` can throw so far: CAF calls it outside its own try. The actor ends without it.
  void end_by_exception() noexcept;

  loop_host* home_;
  std::uint32_t place_ = not_adopted; // in the host's list
  bool threw_ = false;
  bool has_skipped_ = false; // since it ran last: messages wait in CAF's skip caches
  static constexpr std::uint32_t not_adopted = 0xffff'ffff;
};

} // namespace actnet
