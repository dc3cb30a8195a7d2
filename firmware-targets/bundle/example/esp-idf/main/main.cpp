// SPDX-License-Identifier: Apache-2.0
// ESP-IDF: GPIO 2 is high while the model is content. Give the main task 4 kB of stack or more.
#include <driver/gpio.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>

// @EXAMPLE@

extern "C" void app_main() {
    gpio_set_direction(GPIO_NUM_2, GPIO_MODE_OUTPUT);
    begin();
    for (;;) {
        gpio_set_level(GPIO_NUM_2, turn() ? 1 : 0);
        vTaskDelay(pdMS_TO_TICKS(100));
    }
}
