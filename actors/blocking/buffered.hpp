// Buffered readers and writers of the blocking dialect, and copying.
#pragma once

#include "actnet/actors/blocking/blocking.hpp"
#include "actnet/actors/sequential/buffered.hpp"

#include <cstdint>
#include <string>
#include <utility>

namespace actnet::blocking {

namespace detail {

/// How these go step by step.
struct steps {
  template <class T, class Read, class Attempt>
  static result<T> repeat(Read read, Attempt attempt) {
    auto done = attempt(std::nullopt);
    while (!done) {
      auto more = read();
      if (!more)
        return failed(more.error());
      done = attempt(std::move(*more));
    }
    return std::move(*done);
  }

  template <class T, class Then>
  static result<T> after(result<T> got, Then then) {
    if (got)
      then(*got);
    return got;
  }

  template <class Sink>
  static result<std::uint64_t> write_if(Sink& to, std::string text, std::uint64_t count) {
    if (!text.empty())
      if (auto done = to.write(text); !done)
        return failed(done.error());
    return count;
  }

  template <class Sink>
  static void write_and_forget(Sink& to, std::string text) {
    (void)to.write(text);
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
result<std::uint64_t> copy(Source& from, Sink& to) {
  for (std::uint64_t copied = 0;;) {
    auto some = from.read(65'536);
    if (!some)
      return failed(some.error());
    if (some->empty())
      return copied;
    copied += some->size();
    if (auto done = to.write(std::move(*some)); !done)
      return failed(done.error());
  }
}

} // namespace actnet::blocking
