// All of the library's public face in one include. Larger programs include what they use.
#pragma once

#include "actnet/actors/blocking/blocking.hpp"
#include "actnet/actors/coroutine/coroutine.hpp"
#include "actnet/actors/errors.hpp"
#include "actnet/actors/handler.hpp"
#include "actnet/actors/main_actor.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/open.hpp"
#include "actnet/actors/run.hpp"
#include "actnet/actors/supervision/supervisor.hpp"
