// The entry point of every test program; with Catch2 v2 also the one place where the library itself is compiled.
#define CATCH_CONFIG_RUNNER
#include "support/catch.hpp"

int main(int argc, char** argv) {
  return Catch::Session().run(argc, argv);
}
