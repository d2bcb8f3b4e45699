#include "actnet/actors/sequential/stream_operations.hpp"

namespace actnet::sequential {

namespace {

caf::error with_count(std::error_code cause, std::uint64_t bytes) {
  return make_error(static_cast<errc>(cause.value()), bytes);
}

} // namespace

read_operation::read_operation(caf::strong_actor_ptr of, read_request which, time_limit within,
                               net::time_point otherwise)
    : stream_operation(std::move(of)), within_(within), otherwise_(otherwise) {
  pull::what = which.what;
  pull::size = which.size;
  pull::delimiter = std::move(which.delimiter);
  pull::keep_delimiter = which.keep_delimiter;
  pull::gap = which.gap;
}

void read_operation::begin() noexcept {
  pull::deadline = within_.resolve(home().loop(), otherwise_);
  auto& from = connection();
  // The outcome may come within the call, and whoever waited for it let go of a connection that has ended.
  const caf::strong_actor_ptr held{from.ctrl()};
  from.pull(*this);
}

void read_operation::on_pulled(net::bytes payload, std::error_code cause) noexcept {
  if (!cause)
    finish(std::move(payload));
  else if (payload.empty())
    finish(failed(make_error(cause)));
  else
    finish(failed(make_error(static_cast<errc>(cause.value()), std::move(payload))));
}

void read_operation::undo() noexcept {
  if (pull::what == kind::peek || !outcome_)
    return;
  auto bytes = !pull::taken.empty() ? pull::taken : *outcome_ ? outcome_->value() : partial_of(outcome_->error());
  if (!bytes.empty())
    connection().put_back(std::move(bytes));
}

write_operation::write_operation(caf::strong_actor_ptr of, std::optional<net::bytes> payload, time_limit within,
                                 net::time_point otherwise)
    : stream_operation(std::move(of)), payload_(std::move(payload)), within_(within), otherwise_(otherwise) {}

write_operation::write_operation(caf::strong_actor_ptr of, std::unique_ptr<net::file_source> file, time_limit within,
                                 net::time_point otherwise)
    : stream_operation(std::move(of)), file_(std::move(file)), within_(within), otherwise_(otherwise) {}

void write_operation::begin() noexcept {
  const auto until = within_.resolve(home().loop(), otherwise_);
  if (until != net::time_point::max())
    home().loop().judging_timers().arm(*this, until);
  if (file_)
    connection().write(std::move(file_), *this);
  else
    connection().write(payload_ ? std::move(*payload_) : net::bytes{}, *this, !payload_);
}

void write_operation::on_written(std::uint64_t count, std::error_code cause) noexcept {
  home().loop().judging_timers().cancel(*this);
  if (cause)
    finish(failed(with_count(cause, count)));
  else
    finish(count);
}

void write_operation::on_timer(net::time_point) noexcept {
  connection().withdraw(static_cast<write_waiter&>(*this), errc::timed_out);
}

void write_operation::call_off() noexcept {
  home().loop().judging_timers().cancel(*this);
  connection().forget(*this);
}

void finish_operation::on_written(std::uint64_t, std::error_code cause) noexcept {
  if (cause)
    finish(failed(make_error(cause)));
  else
    finish({});
}

} // namespace actnet::sequential
