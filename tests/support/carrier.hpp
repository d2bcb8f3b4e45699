// What the bytes of a test travel over: the same tests run over TCP and Unix streams, and over UDP and Unix datagrams.
#pragma once

#include "support/catch.hpp"

#include <ostream>

namespace actnet::test {

enum class carrier { tcp, local };
enum class datagram_carrier { udp, local };

/// Each in turn: the rest of the test runs once over it. Who asks again gets the same, unless another generator or a
/// section came in between.
inline carrier each_carrier() {
  return GENERATE(carrier::tcp, carrier::local);
}
inline datagram_carrier each_datagram_carrier() {
  return GENERATE(datagram_carrier::udp, datagram_carrier::local);
}

/// Its relative that carries datagrams.
inline datagram_carrier for_datagrams(carrier over) {
  return over == carrier::tcp ? datagram_carrier::udp : datagram_carrier::local;
}

inline std::ostream& operator<<(std::ostream& out, carrier over) {
  return out << (over == carrier::tcp ? "TCP" : "a Unix stream");
}
inline std::ostream& operator<<(std::ostream& out, datagram_carrier over) {
  return out << (over == datagram_carrier::udp ? "UDP" : "Unix datagrams");
}

/// While it lives, failures say over what they came.
class said_carrier {
 public:
  template <class Carrier>
  explicit said_carrier(Carrier over)
      : message_(Catch::MessageBuilder("INFO", CATCH_INTERNAL_LINEINFO, Catch::ResultWas::Info) << "over " << over) {}

 private:
  Catch::ScopedMessage message_;
};

} // namespace actnet::test
