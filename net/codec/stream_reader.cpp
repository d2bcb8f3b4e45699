#include "actnet/net/codec/stream_reader.hpp"

#include <utility>

namespace actnet::net {

result<void> stream_reader::feed(bytes data) {
  if (ended_)
    return failure{make_error_code(errc::end_of_stream)};
  buffer_.push(std::move(data));
  return {};
}

result<void> stream_reader::feed_eof() {
  if (std::exchange(ended_, true))
    return failure{make_error_code(errc::end_of_stream)};
  return {};
}

stream_reader::answer stream_reader::missing() const {
  if (ended_)
    return failure{make_error_code(errc::end_of_stream)};
  return std::optional<bytes>{};
}

stream_reader::answer stream_reader::read_line(std::size_t max) {
  const auto at = buffer_.find("\n", searched_);
  if (at ? *at >= max : buffer_.size() >= max)
    return failure{make_error_code(errc::too_long)};
  if (!at) {
    searched_ = buffer_.size();
    return missing();
  }
  searched_ = 0;
  return std::optional{buffer_.take(*at + 1)};
}

stream_reader::answer stream_reader::read_exact(std::size_t count) {
  if (buffer_.size() < count)
    return missing();
  searched_ = 0;
  return std::optional{buffer_.take(count)};
}

stream_reader::answer stream_reader::read_to_eof(std::size_t max) {
  if (buffer_.size() > max)
    return failure{make_error_code(errc::too_long)};
  if (!ended_)
    return std::optional<bytes>{};
  searched_ = 0;
  return std::optional{buffer_.take(buffer_.size())};
}

std::size_t stream_reader::discard() noexcept {
  const auto count = buffer_.size();
  buffer_.drop(count);
  searched_ = 0;
  return count;
}

} // namespace actnet::net
