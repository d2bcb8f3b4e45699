// What a stream still has to send, in order: bytes and parts of files, then perhaps the end of our side. No socket in
// it.
#pragma once

#include "actnet/net/bytes/bytes.hpp"
#include "actnet/net/bytes/file_source.hpp"
#include "actnet/net/error.hpp"

#include <sys/uio.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>

namespace actnet::net {

/// One operation in a write queue. Whoever makes it derives from it to keep its own ticket beside it (whom to tell).
struct write_item {
  enum class kind : unsigned char {
    bytes,  ///< Send the payload; an empty one is a mark: it is done when all before it is.
    file,   ///< Send the part of a file.
    finish, ///< Send the end of our side (FIN) after all before it.
  };

  write_item() = default;
  write_item(const write_item&) = delete;
  write_item& operator=(const write_item&) = delete;

  bytes payload;
  bytes held;                        ///< The received bytes that the payload was made of: their credit is out so long.
  std::unique_ptr<file_source> file; ///< Of the kind `file`.
  std::uint64_t sent = 0;            ///< How much of payload or file is in the kernel's send buffer.
  write_item* next = nullptr;
  kind what = kind::bytes;
  bool is_write = false;     ///< Of bytes, perhaps none, of which a frame may be made: even if empty it is no mark.
  bool is_frame = false;     ///< Of use to the peer only as a whole.
  errc refusal = errc::none; ///< Why it never got into the queue; for whoever refused it.
};

/// Who is told what became of each item.
class write_outcomes {
 public:
  /// Called exactly once for each item, in order, when it has left the queue: `item.sent` bytes of it are in the
  /// kernel's send buffer, all of them if `cause` is empty. The item belongs to its maker again.
  virtual void on_done(write_item& item, std::error_code cause) noexcept = 0;

 protected:
  ~write_outcomes() = default;
};

/// Items in the order of their arrival; it holds no memory of its own. Empty it with `fail` before it goes. Single
/// thread.
class write_queue {
 public:
  explicit write_queue(write_outcomes& outcomes) noexcept : outcomes_(outcomes) {}
  write_queue(const write_queue&) = delete;
  write_queue& operator=(const write_queue&) = delete;
  ~write_queue() { assert(empty()); }

  bool empty() const noexcept { return first_ == nullptr; }

  /// Payload bytes that are not sent yet; those of files are not counted.
  std::size_t size_bytes() const noexcept { return size_bytes_; }

  /// The item that is to be sent from next, or null.
  write_item* front() const noexcept { return first_; }

  /// Whether the front is an empty item.
  bool at_mark() const noexcept { return first_ && first_->what == write_item::kind::bytes && first_->payload.empty(); }

  /// The file that is to be sent from next, or null.
  file_source* front_file() const noexcept {
    return first_ && first_->what == write_item::kind::file ? first_->file.get() : nullptr;
  }
  /// How much of it is sent.
  std::uint64_t front_sent() const noexcept { return first_->sent; }

  /// Whether the next thing to do is to end our side.
  bool at_finish() const noexcept { return first_ && first_->what == write_item::kind::finish; }

  void push(write_item& item) noexcept;

  /// Describes the next bytes to send, up to the first file or finish, for one vectored call. Returns how many entries
  /// it filled. They stay valid until the next `sent` or `fail`.
  std::size_t gather(std::span<iovec> parts) const noexcept;

  /// Takes `count` bytes off the front as sent, all of one file or none of any, and completes every item that is
  /// through, marks included.
  void sent(std::size_t count) noexcept;

  /// Completes the front as failed.
  void fail_front(std::error_code cause) noexcept;

  /// Takes the finish off the front, as done.
  void finished() noexcept;

  /// Takes it out, without completing it. Returns whether it was there.
  bool remove(write_item& item) noexcept;

  /// Completes everything as failed, in order, each with the bytes of it that were sent.
  void fail(std::error_code cause) noexcept;

 private:
  write_item& pop() noexcept;

  write_outcomes& outcomes_;
  write_item* first_ = nullptr;
  write_item* last_ = nullptr;
  std::size_t size_bytes_ = 0;
};

} // namespace actnet::net
