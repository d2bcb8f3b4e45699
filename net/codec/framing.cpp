#include "actnet/net/codec/framing.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace actnet::net {

namespace {

constexpr std::size_t mark_max = 256;
constexpr std::size_t varint_max = 10;
constexpr std::size_t offset_max = 64 * 1024;

/// The largest value of so many bytes.
std::uint64_t largest(std::size_t width) noexcept {
  return width >= 8 ? std::numeric_limits<std::uint64_t>::max() : (std::uint64_t{1} << (8 * width)) - 1;
}

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number value{};
  const auto end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  return read.ec == std::errc{} && read.ptr == end ? std::optional{value} : std::nullopt;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.empty() || text.size() % 2 != 0)
    return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned value = 0;
    const auto end = text.data() + i + 2;
    if (const auto read = std::from_chars(text.data() + i, end, value, 16); read.ec != std::errc{} || read.ptr != end)
      return std::nullopt;
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const unsigned char each : bytes) {
    text += digits[each >> 4];
    text += digits[each & 15];
  }
  return text;
}

/// New memory for a frame on its way out.
class builder {
 public:
  explicit builder(std::size_t size) : block_(block::make(size)), size_(size) {}
  std::byte* data() noexcept { return block_->data(); }
  void add(const void* from, std::size_t count) noexcept {
    if (count > 0)
      std::memcpy(block_->data() + at_, from, count);
    at_ += count;
  }
  bytes done() && noexcept {
    assert(at_ == size_);
    return {block_, size_};
  }

 private:
  block* block_;
  std::size_t size_;
  std::size_t at_ = 0;
};

} // namespace

framing framing::delimiter(std::string_view mark, std::size_t max) {
  assert(!mark.empty() && mark.size() <= mark_max);
  framing made{kind::delimited, max};
  made.mark_ = mark;
  return made;
}

framing framing::fixed(std::size_t size) {
  assert(size > 0);
  return framing{kind::fixed, size};
}

framing framing::length_prefix(const prefix& how) {
  assert(how.width >= 1 && how.width <= 8 && how.offset <= offset_max);
  framing made{kind::prefixed, how.max};
  made.prefix_ = how;
  return made;
}

framing framing::varint(std::size_t max) {
  return framing{kind::varint, max};
}

framing framing::package(std::size_t header_size, std::size_t max) {
  assert(header_size >= 1 && header_size <= 4);
  constexpr std::uint64_t most = 0x7fff'ffff;
  prefix how;
  how.width = header_size;
  const auto all = std::min(largest(header_size), most);
  how.max = static_cast<std::size_t>(max > 0 ? std::min<std::uint64_t>(max, all) : all);
  return length_prefix(how);
}

result<framing, std::string> framing::parse(std::string_view text, std::size_t max) {
  const auto or_own = [max](std::size_t own) { return max > 0 ? max : own; };
  const auto prefixed = [&](std::size_t width, framing::order order) {
    prefix how;
    how.width = width;
    how.order = order;
    how.max = static_cast<std::size_t>(std::min<std::uint64_t>(or_own(binary_max), largest(width)));
    return length_prefix(how);
  };
  constexpr std::string_view delimiter_is = "delimiter:", fixed_is = "fixed:";
  if (text == "line")
    return line(or_own(text_max));
  if (text.starts_with(delimiter_is)) {
    const auto mark = from_hex(text.substr(delimiter_is.size()));
    if (!mark || mark->size() > mark_max)
      return failure{"frame format " + std::string{text} + ": after delimiter: come 1 to 256 bytes in hexadecimal"};
    return delimiter(*mark, or_own(text_max));
  }
  if (text.starts_with(fixed_is)) {
    const auto size = number_in<std::size_t>(text.substr(fixed_is.size()));
    if (!size || *size == 0 || *size > (std::size_t{1} << 31))
      return failure{"frame format " + std::string{text} + ": after fixed: comes a number of bytes, 1 to 2 GiB"};
    return fixed(*size);
  }
  if (text.size() == 4 && text.starts_with("pkg") && text[3] >= '1' && text[3] <= '4')
    return package(static_cast<std::size_t>(text[3] - '0'), max);
  if (text == "u16le")
    return prefixed(2, order::little);
  if (text == "u32le")
    return prefixed(4, order::little);
  if (text == "u32be")
    return prefixed(4, order::big);
  if (text == "u64be")
    return prefixed(8, order::big);
  if (text == "varint")
    return varint(or_own(binary_max));
  return failure{"unknown frame format " + std::string{text} +
                 " (known: line, delimiter:XX, fixed:N, pkg1 to pkg4, u16le, u32le, u32be, u64be, varint)"};
}

bool framing::operator==(const framing& other) const noexcept {
  return kind_ == other.kind_ && mark_ == other.mark_ && prefix_.width == other.prefix_.width &&
         prefix_.order == other.prefix_.order && prefix_.offset == other.prefix_.offset &&
         prefix_.adjustment == other.prefix_.adjustment && prefix_.max == other.prefix_.max;
}

// -- reading -----------------------------------------------------------------------------------------

framing::found framing::find(const read_buffer& in, std::size_t& searched) const noexcept {
  switch (kind_) {
  case kind::delimited: return find_delimited(in, searched);
  case kind::fixed:
    if (in.size() < prefix_.max)
      return {};
    return {found::state::complete, 0, prefix_.max, 0, errc::none};
  case kind::prefixed: return find_prefixed(in);
  case kind::varint: return find_varint(in);
  }
  return {};
}

framing::found framing::find_delimited(const read_buffer& in, std::size_t& searched) const noexcept {
  const auto at = in.find(mark_, searched);
  if (at && *at <= prefix_.max)
    return {found::state::complete, 0, *at, mark_.size(), errc::none};
  if (at || (in.size() >= mark_.size() && in.size() - mark_.size() >= prefix_.max))
    return {found::state::broken, 0, 0, 0, errc::too_long};
  searched = in.size() - std::min(in.size(), mark_.size() - 1);
  return {};
}

framing::found framing::find_prefixed(const read_buffer& in) const noexcept {
  const auto head = prefix_.offset + prefix_.width;
  if (in.size() < head)
    return {};
  std::array<std::byte, 8> field{};
  if (prefix_.offset == 0) {
    in.look({field.data(), prefix_.width});
  } else { // what lies before it is short, too
    std::vector<std::byte> all(head);
    in.look(all);
    std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(prefix_.offset), prefix_.width, field.begin());
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < prefix_.width; ++i) {
    const auto next = field[prefix_.order == order::big ? i : prefix_.width - 1 - i];
    value = value << 8 | std::to_integer<std::uint64_t>(next);
  }
  const auto shift = prefix_.adjustment;
  const auto magnitude =
      shift < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(shift) : static_cast<std::uint64_t>(shift);
  if (shift < 0 && value < magnitude)
    return {found::state::broken, 0, 0, 0, errc::bad_frame};
  if (shift > 0 && (magnitude > prefix_.max || value > prefix_.max - magnitude))
    return {found::state::broken, 0, 0, 0, errc::too_long};
  const auto body = shift < 0 ? value - magnitude : value + magnitude;
  if (body > prefix_.max)
    return {found::state::broken, 0, 0, 0, errc::too_long};
  const auto size = static_cast<std::size_t>(body);
  if (in.size() - head < size)
    return {};
  if (prefix_.offset == 0)
    return {found::state::complete, head, size, 0, errc::none};
  return {found::state::complete, 0, head + size, 0, errc::none};
}

framing::found framing::find_varint(const read_buffer& in) const noexcept {
  std::array<std::byte, varint_max> field{};
  const auto there = in.look(field);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < there; ++i) {
    const auto next = std::to_integer<std::uint64_t>(field[i]);
    if (i == varint_max - 1 && next > 1)
      return {found::state::broken, 0, 0, 0, errc::bad_frame}; // more than 64 bits
    value |= (next & 0x7f) << (7 * i);
    if ((next & 0x80) != 0)
      continue;
    if (value > prefix_.max)
      return {found::state::broken, 0, 0, 0, errc::too_long};
    const auto size = static_cast<std::size_t>(value);
    if (in.size() - (i + 1) < size)
      return {};
    return {found::state::complete, i + 1, size, 0, errc::none};
  }
  return there < varint_max ? found{} : found{found::state::broken, 0, 0, 0, errc::bad_frame};
}

// -- writing -----------------------------------------------------------------------------------------

result<bytes> framing::encode(const bytes& frame) const {
  const auto fails = [](errc cause) { return failure{make_error_code(cause)}; };
  switch (kind_) {
  case kind::delimited: {
    if (frame.size() > prefix_.max)
      return fails(errc::message_too_large);
    builder whole{frame.size() + mark_.size()};
    whole.add(frame.data(), frame.size());
    whole.add(mark_.data(), mark_.size());
    auto made = std::move(whole).done();
    if (made.view().find(mark_) != frame.size()) // also where its end and the beginning of the mark look like one
      return fails(errc::invalid_argument);
    return made;
  }
  case kind::fixed:
    if (frame.size() != prefix_.max)
      return fails(errc::invalid_argument);
    return frame;
  case kind::prefixed: return encode_prefixed(frame);
  case kind::varint: break;
  }
  if (frame.size() > prefix_.max)
    return fails(errc::message_too_large);
  std::array<std::byte, varint_max> field{};
  std::size_t used = 0;
  for (auto left = static_cast<std::uint64_t>(frame.size());; left >>= 7) {
    field[used++] = static_cast<std::byte>((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    if (left <= 0x7f)
      break;
  }
  builder whole{used + frame.size()};
  whole.add(field.data(), used);
  whole.add(frame.data(), frame.size());
  return std::move(whole).done();
}

void framing::put_length(std::byte* to, std::uint64_t value) const noexcept {
  for (std::size_t i = 0; i < prefix_.width; ++i, value >>= 8)
    to[prefix_.order == order::little ? i : prefix_.width - 1 - i] = static_cast<std::byte>(value & 0xff);
}

result<bytes> framing::encode_prefixed(const bytes& frame) const {
  const auto fails = [](errc cause) { return failure{make_error_code(cause)}; };
  const auto header = prefix_.offset == 0 ? 0 : prefix_.offset + prefix_.width; // part of the frame
  if (frame.size() < header)
    return fails(errc::invalid_argument);
  const auto body = frame.size() - header;
  if (body > prefix_.max)
    return fails(errc::message_too_large);
  const auto value = static_cast<std::int64_t>(body) - prefix_.adjustment;
  if (value < 0)
    return fails(errc::invalid_argument);
  if (static_cast<std::uint64_t>(value) > largest(prefix_.width))
    return fails(errc::message_too_large);
  const auto added = header == 0 ? prefix_.width : 0;
  builder whole{added + frame.size()};
  std::array<std::byte, 8> field{};
  whole.add(field.data(), added);
  whole.add(frame.data(), frame.size());
  put_length(whole.data() + prefix_.offset, static_cast<std::uint64_t>(value));
  return std::move(whole).done();
}

// -- as text -----------------------------------------------------------------------------------------

std::string framing::to_text() const {
  std::string text;
  for (const auto number : {static_cast<std::int64_t>(kind_), static_cast<std::int64_t>(prefix_.width),
                            static_cast<std::int64_t>(prefix_.order), static_cast<std::int64_t>(prefix_.offset),
                            prefix_.adjustment, static_cast<std::int64_t>(prefix_.max)})
    text += std::to_string(number) + ' ';
  return text + to_hex(mark_);
}

result<framing, std::string> framing::from_text(std::string_view text) {
  std::array<std::int64_t, 6> numbers{};
  for (auto& each : numbers) {
    const auto end = text.find(' ');
    const auto number = end == text.npos ? std::nullopt : number_in<std::int64_t>(text.substr(0, end));
    if (!number)
      return failure{std::string{"not a frame format"}};
    each = *number;
    text.remove_prefix(end + 1);
  }
  const auto mark = text.empty() ? std::optional{std::string{}} : from_hex(text);
  const auto what = static_cast<kind>(numbers[0]);
  const auto fits = numbers[0] >= 0 && numbers[0] <= 3 && numbers[1] >= 1 && numbers[1] <= 8 && numbers[2] >= 0 &&
                    numbers[2] <= 1 && numbers[3] >= 0 && numbers[3] <= static_cast<std::int64_t>(offset_max) &&
                    numbers[5] >= 0 && mark && (what == kind::delimited) == !mark->empty() &&
                    mark->size() <= mark_max && (what != kind::fixed || numbers[5] > 0);
  if (!fits)
    return failure{std::string{"not a frame format"}};
  framing made{what, static_cast<std::size_t>(numbers[5])};
  made.prefix_.width = static_cast<std::size_t>(numbers[1]);
  made.prefix_.order = static_cast<framing::order>(numbers[2]);
  made.prefix_.offset = static_cast<std::size_t>(numbers[3]);
  made.prefix_.adjustment = numbers[4];
  made.mark_ = *mark;
  return made;
}

} // namespace actnet::net
