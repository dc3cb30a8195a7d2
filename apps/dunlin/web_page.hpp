// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/web/web_server.hpp"

#include <span>

namespace dunlin::app {

/// The page's files, built from apps/web and embedded; none where esbuild or dygraphs was missing.
std::span<const WebFile> web_page();

/// The files of the page of `dunlin view`, of apps/view.
std::span<const WebFile> view_page();

}  // namespace dunlin::app
