// SPDX-License-Identifier: Apache-2.0
// In the place of the page, where a build lacks what makes it.
#include "apps/dunlin/web_page.hpp"

namespace dunlin::app {

std::span<const WebFile> web_page() {
    return {};
}

}  // namespace dunlin::app
