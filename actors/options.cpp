#include "actnet/actors/options.hpp"

#include <type_traits>
#include <utility>

namespace actnet {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Numbers, and where there are any, addresses: the same list of fields read or written.
template <class Option, class Fields>
void visit_fields(Option& o, Fields& f) {
  if constexpr (requires { o.interval; }) {
    f.number(o.on), f.time(o.time), f.time(o.interval), f.number(o.count);
  } else if constexpr (requires { o.on; }) {
    f.number(o.on);
  } else if constexpr (requires { o.hops; }) {
    f.number(o.hops);
  } else if constexpr (requires { o.bytes; }) {
    f.number(o.bytes);
  } else if constexpr (requires { o.value; }) {
    f.number(o.value);
  } else if constexpr (requires { o.group; }) {
    f.group(o.group), f.interface(o.interface);
  } else if constexpr (requires { o.interface; }) {
    f.interface(o.interface);
  } else if constexpr (requires { o.time.has_value(); }) {
    f.optional_time(o.time);
  } else {
    f.time(o.time);
  }
}

struct writer {
  plain_option& out;

  template <class T>
  void number(const T& x) {
    out.numbers.push_back(static_cast<std::int64_t>(x));
  }
  template <class T>
  void time(const T& x) {
    number(x.count());
  }
  void optional_time(const std::optional<seconds>& x) { number(x ? x->count() : -1); }
  void group(const net::ip_address& x) { out.address = x.to_string(); }
  void interface(const net::interface_choice& x) {
    if (auto index = std::get_if<net::interface_index>(&x))
      number(index->value);
    else if (auto address = std::get_if<net::ip_address>(&x))
      out.interface_address = address->to_string();
  }
};

struct reader {
  const plain_option& in;
  std::size_t next = 0;
  bool good = true;

  std::int64_t take() {
    good = good && next < in.numbers.size();
    return good ? in.numbers[next++] : 0;
  }
  template <class T>
  void number(T& x) {
    x = static_cast<T>(take());
  }
  template <class T>
  void time(T& x) {
    x = T{take()};
  }
  void optional_time(std::optional<seconds>& x) {
    const auto count = take();
    x = count < 0 ? std::nullopt : std::optional{seconds{count}};
  }
  void address(const std::string& text, net::ip_address& x) {
    const auto parsed = net::ip_address::parse(text);
    good = good && parsed.has_value();
    if (good)
      x = *parsed;
  }
  void group(net::ip_address& x) { address(in.address, x); }
  void interface(net::interface_choice& x) {
    if (!in.interface_address.empty())
      address(in.interface_address, x.emplace<net::ip_address>());
    else if (!in.numbers.empty())
      number(x.emplace<net::interface_index>().value);
  }
};

template <std::size_t... Is>
std::optional<net::socket_option> read_option(const plain_option& plain, std::index_sequence<Is...>) {
  std::optional<net::socket_option> found;
  const auto attempt = [&]<std::size_t I>() {
    reader fields{plain};
    visit_fields(std::get<I>(found.emplace(std::in_place_index<I>)), fields);
    if (!fields.good)
      found.reset();
  };
  ((plain.kind == Is ? attempt.template operator()<Is>() : void()), ...);
  return found;
}

} // namespace

std::vector<plain_option> to_plain(const socket_options& options) {
  std::vector<plain_option> result;
  for (const auto& option : options.list) {
    auto& plain = result.emplace_back();
    plain.kind = static_cast<std::uint8_t>(option.index());
    writer fields{plain};
    std::visit([&fields](const auto& o) { visit_fields(o, fields); }, option);
  }
  return result;
}

socket_options from_plain(const std::vector<plain_option>& plain) {
  socket_options result;
  for (const auto& p : plain)
    if (auto option = read_option(p, std::make_index_sequence<std::variant_size_v<net::socket_option>>{}))
      result.list.push_back(std::move(*option));
  return result;
}

} // namespace actnet
