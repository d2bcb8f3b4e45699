// Standard output and standard input as actors. Both may block, so each has a loop and a thread of its own.
#pragma once

#include "actnet/actors/main_actor.hpp"
#include "actnet/actors/messages.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <string>

namespace actnet {

/// Writes to `descriptor`, which stays the caller's, in the order of arrival. It understands `stream::write` and
/// `stream::flush` as a connection does and answers them by `stream::written`, but refuses nothing: it holds what it
/// was sent until it is written, so payloads of a connection slow that connection down by their read credit. The
/// program does not end before everything is written; while it drains, no longer than its deadline.
///
/// A write that fails (EPIPE, ENOSPC) ends the program with one line and exit code 1; what comes later is dropped.
caf::actor open_standard_output(main_actor& program, int descriptor = 1);

// -- standard input --------------------------------------------------------------------------------

/// To standard input: read the next part. Answered, to its owner, by `input_read` or `input_ended`.
struct read_input {};

/// To standard input: of what is asked for, read only what is there already; where one would have to wait is the end.
struct finish_input {};

/// At least one byte, at most 64 KiB.
struct input_read {
  bytes payload;
};

/// The last message of standard input.
struct input_ended {
  std::string complaint; ///< Why it cannot be read further; empty at its end.
};

/// Reads from `descriptor`, which stays the caller's: a file, a pipe or a terminal. It reads only when asked and ends
/// with its owner, also while it waits.
caf::actor open_standard_input(caf::actor owner, int descriptor = 0);

} // namespace actnet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::read_input)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::finish_input)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::input_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::input_ended)
