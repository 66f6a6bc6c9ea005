#include "run-fixture.h"

int main(void) {
        return 0;
}
