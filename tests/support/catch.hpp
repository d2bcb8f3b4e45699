// Catch2 in the version that the system has: v2 on Debian 12, v3 on Debian 13. Every test includes this header.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx; // global in v2
#else
#include <catch2/catch.hpp>
#endif
