// The room: who is here, and what is said to whom. One actor, supervised.
#pragma once

#include "actnet/actors/handler.hpp"

#include <map>
#include <string>

namespace chat {

// -- to the room, from a session: requests, each answered once it is done --------------------------

/// Error: `already_present`, with a text for the person who asked: the name is taken.
struct enter {
  std::string name;
};

/// To all others. Error: `not_found`, the room does not know who says it.
struct say {
  std::string line;
};

/// To one other. Errors: as `say`.
struct whisper {
  std::string to;
  std::string line;
};

// -- from the room, to a session --------------------------------------------------------------------

/// A line to write, with its end. All sessions share its bytes.
struct heard {
  actnet::bytes line;
};

/// Knows its members only as long as they live: it monitors each. When it crashes, its supervisor starts another one,
/// which is empty until the sessions have joined again.
class room final : public actnet::handler {
 public:
  explicit room(caf::actor_config& cfg);

  const char* name() const override { return "chat.room"; }
  caf::behavior make_behavior() override;

 private:
  void tell_others(const caf::actor_addr& whose, const std::string& line);
  /// The name of a member; empty: it is none.
  std::string name_of(const caf::actor_addr& who) const;

  std::map<std::string, caf::actor> members_;
  std::map<caf::actor_addr, std::string> names_;
};

} // namespace chat

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(chat::enter)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(chat::say)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(chat::whisper)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(chat::heard)
