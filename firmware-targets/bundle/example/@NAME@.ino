// SPDX-License-Identifier: Apache-2.0
// Arduino: the LED is on while the model is content. What the model needs is in begin() and turn().

// @EXAMPLE@

void setup() {
    pinMode(LED_BUILTIN, OUTPUT);
    begin();
}

void loop() {
    digitalWrite(LED_BUILTIN, turn() ? HIGH : LOW);
    delay(100);
}
