// SPDX-License-Identifier: Apache-2.0
// Zephyr: the board's led0 is on while the model is content.
// The model comes first: macros of Zephyr's headers are in the way of some C++ headers.
// @EXAMPLE@

#include <zephyr/drivers/gpio.h>
#include <zephyr/kernel.h>

int main() {
    static const gpio_dt_spec led = GPIO_DT_SPEC_GET(DT_ALIAS(led0), gpios);
    gpio_pin_configure_dt(&led, GPIO_OUTPUT_INACTIVE);
    begin();
    for (;;) {
        gpio_pin_set_dt(&led, turn() ? 1 : 0);
        k_msleep(100);
    }
}
