package dev.baton.model.template;

import org.jspecify.annotations.Nullable;

/** Something a template can call. */
interface Callable {
    @Nullable
    Object call(Arguments arguments);
}
