#include "actnet/net/bytes/read_buffer.hpp"

#include <algorithm>
#include <cstring>

namespace actnet::net {

read_buffer::~read_buffer() {
  if (open_)
    open_->release();
}

void read_buffer::push(bytes payload) {
  if (payload.empty())
    return;
  size_ += payload.size();
  const auto wasteful = payload.pinned_bytes() > 2 * payload.size();
  if (size_ > payload.size() && (wasteful || (open_ && payload.size() <= open_->capacity() - open_end_))) {
    gather(payload.view());
    return;
  }
  seal();
  pieces_.push_back(std::move(payload));
}

void read_buffer::put_back(bytes payload) {
  if (payload.empty())
    return;
  size_ += payload.size();
  if (first_ > 0)
    pieces_[--first_] = std::move(payload);
  else
    pieces_.insert(pieces_.begin(), std::move(payload));
}

void read_buffer::gather(std::string_view small) {
  if (open_ && open_->capacity() - open_end_ < small.size())
    seal();
  if (!open_) {
    // Blocks grow with what is there, so that little takes little.
    const auto wanted = std::max(small.size(), size_ > block_pool::copied_bytes_max ? block_pool::read_bytes
                                                                                    : block_pool::copied_bytes_max);
    open_ = block::make(wanted);
    open_begin_ = open_end_ = 0;
  }
  std::memcpy(open_->data() + open_end_, small.data(), small.size());
  open_end_ += small.size();
}

/// What was gathered becomes a piece.
void read_buffer::seal() {
  if (!open_)
    return;
  bytes gathered{std::exchange(open_, nullptr), open_end_};
  gathered.remove_prefix(open_begin_);
  if (!gathered.empty())
    pieces_.push_back(std::move(gathered));
}

std::string_view read_buffer::open_part() const noexcept {
  return {reinterpret_cast<const char*>(open_->data()) + open_begin_, open_end_ - open_begin_};
}

std::string_view read_buffer::part(std::size_t index) const noexcept {
  return index < pieces_.size() ? pieces_[index].view() : open_part();
}

std::size_t read_buffer::front_size() const noexcept {
  return empty() ? 0 : part(first_).size();
}

void read_buffer::copy_to(std::byte* to, std::size_t count) const noexcept {
  for (auto index = first_; count > 0; ++index) {
    const auto piece = part(index).substr(0, count);
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
    count -= piece.size();
  }
}

std::size_t read_buffer::look(std::span<std::byte> into) const noexcept {
  const auto count = std::min(into.size(), size_);
  copy_to(into.data(), count);
  return count;
}

bytes read_buffer::peek(std::size_t count) {
  count = std::min(count, size_);
  if (count == 0)
    return {};
  if (first_ < pieces_.size() && pieces_[first_].size() >= count)
    return pieces_[first_].slice(0, count);
  auto whole = block::make(count);
  copy_to(whole->data(), count);
  return {whole, count};
}

bytes read_buffer::take(std::size_t count) {
  count = std::min(count, size_);
  if (count > 0 && first_ == pieces_.size() && count == size_) { // all that was gathered
    size_ = 0;
    bytes gathered{std::exchange(open_, nullptr), open_end_};
    gathered.remove_prefix(open_begin_);
    pieces_.clear();
    first_ = 0;
    return gathered;
  }
  auto taken = peek(count);
  drop(count);
  return taken;
}

bytes read_buffer::take_apart(std::size_t count, std::size_t dropped) {
  count = std::min(count, size_);
  const auto is_block = first_ < pieces_.size() && pieces_[first_].size() == count + dropped &&
                        pieces_[first_].pinned_bytes() <= 2 * count + 128;
  if (count == 0 || count > block_pool::copied_bytes_max || is_block)
    return take(count);
  auto own = block::make(count);
  copy_to(own->data(), count);
  drop(count);
  return {own, count};
}

void read_buffer::part_from_taken() {
  if (first_ < pieces_.size() && pieces_[first_].is_charged())
    pieces_[first_] = pieces_[first_].detach();
}

void read_buffer::drop(std::size_t count) noexcept {
  count = std::min(count, size_);
  size_ -= count;
  while (count > 0 && first_ < pieces_.size()) {
    auto& piece = pieces_[first_];
    const auto here = std::min(count, piece.size());
    count -= here;
    if (here < piece.size())
      piece.remove_prefix(here);
    else
      pieces_[first_++] = {};
  }
  if (first_ == pieces_.size()) {
    pieces_.clear();
    first_ = 0;
  } else if (first_ >= 64 && 2 * first_ >= pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  open_begin_ += count;
  if (open_ && open_begin_ == open_end_)
    std::exchange(open_, nullptr)->release();
}

/// Whether `rest` of the part of that number, and what follows, begins with `needle`.
bool read_buffer::matches(std::size_t index, std::string_view rest, std::string_view needle) const noexcept {
  while (true) {
    const auto common = std::min(rest.size(), needle.size());
    if (rest.substr(0, common) != needle.substr(0, common))
      return false;
    needle.remove_prefix(common);
    if (needle.empty())
      return true;
    if (++index == parts())
      return false;
    rest = part(index);
  }
}

/// What lies before `from` may have come in many pieces, and is passed over each time that more has come: so the way to
/// it is from the end.
std::optional<std::size_t> read_buffer::find(std::string_view needle, std::size_t from) const noexcept {
  auto before = size_;
  auto index = parts();
  while (index > first_ && before > from)
    before -= part(--index).size();
  for (; index < parts(); ++index) {
    const auto piece = part(index);
    auto at = from > before ? from - before : 0;
    looked_at_ += 1 + piece.size() - std::min(at, piece.size());
    while (at < piece.size() && (at = piece.find(needle.front(), at)) != piece.npos) {
      if (matches(index, piece.substr(at), needle))
        return before + at;
      ++at;
    }
    before += piece.size();
  }
  return std::nullopt;
}

} // namespace actnet::net
