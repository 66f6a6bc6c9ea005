/* Memory that is free gets back to the system. */
#pragma once

/* To be called when there is nothing to do. It costs some tens of microseconds. */
void memory_give_back(void);
