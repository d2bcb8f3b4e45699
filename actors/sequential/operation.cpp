#include "actnet/actors/sequential/operation.hpp"

namespace actnet::sequential {

caf::error about(const char* what, const endpoint_argument& where, const caf::error& cause) {
  if (!where.mistake().empty())
    return cause;
  return make_error(code_of(cause), std::string{what} + " " + where.value().to_string() + ": " + to_text(cause));
}

} // namespace actnet::sequential
