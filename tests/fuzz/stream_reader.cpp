// libFuzzer's target of that name; see decoders.hpp.
#include "fuzz/decoders.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  actnet::fuzz::check_stream_reader({data, size});
  return 0;
}
