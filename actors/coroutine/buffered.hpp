// Buffered readers and writers of the coroutine dialect, and copying.
#pragma once

#include "actnet/actors/coroutine/coroutine.hpp"
#include "actnet/actors/sequential/buffered.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace actnet::coroutine {

namespace detail {

/// How these go step by step.
struct steps {
  template <class T, class Read, class Attempt>
  static task<result<T>> repeat(Read read, Attempt attempt) {
    auto done = attempt(std::nullopt);
    while (!done) {
      auto more = co_await read();
      if (!more)
        co_return failed(more.error());
      done = attempt(std::move(*more));
    }
    co_return std::move(*done);
  }

  template <class T, class Read, class Then>
  static task<result<T>> after(Read read, Then then) {
    auto got = co_await std::move(read);
    if (got)
      then(*got);
    co_return got;
  }

  template <class Sink>
  static task<result<std::uint64_t>> write_if(Sink& to, std::string text, std::uint64_t count) {
    if (!text.empty()) {
      auto done = co_await to.write(text);
      if (!done)
        co_return failed(done.error());
    }
    co_return count;
  }

  /// Queued behind what was written before.
  template <class Sink>
  static void write_and_forget(Sink& to, std::string text) {
    to.as_connection().write(text);
  }
};

} // namespace detail

template <class Source = stream_socket>
using buffered_reader = sequential::basic_buffered_reader<detail::steps, Source>;
template <class Sink = stream_socket>
using buffered_writer = sequential::basic_buffered_writer<detail::steps, Sink>;

/// The next `count` bytes of `from`, as something to read from.
template <class Source>
auto limit(Source& from, std::uint64_t count) {
  return sequential::basic_limited<detail::steps, Source>{from, count};
}

/// Reads from `from` and writes to `to` until the end; how many bytes that were.
template <class Source, class Sink>
task<result<std::uint64_t>> copy(Source& from, Sink& to) {
  for (std::uint64_t copied = 0;;) {
    auto some = co_await from.read(65'536);
    if (!some)
      co_return failed(some.error());
    if (some->empty())
      co_return copied;
    copied += some->size();
    auto done = co_await to.write(std::move(*some));
    if (!done)
      co_return failed(done.error());
  }
}

} // namespace actnet::coroutine
