package dev.baton.model.template;

import org.jspecify.annotations.Nullable;

/**
 * A value that does not exist: prints as nothing, is false and empty; anything else done with it fails.
 *
 * @param message what the failure says
 * @param kind the failure's name
 */
record Undefined(String message, String kind) {
    static Undefined variable(String name) {
        return new Undefined(PythonText.repr(name) + " is undefined", "UndefinedError");
    }

    static Undefined hint(String message) {
        return new Undefined(message, "UndefinedError");
    }

    /** An attribute or element that {@code object} lacks. */
    static Undefined member(@Nullable Object object, @Nullable Object key) {
        String owner = object == null ? "None" : Values.typeName(object) + " object";
        if (key instanceof String name) {
            return hint("'" + owner + "' has no attribute " + PythonText.repr(name));
        }
        return hint(owner + " has no element " + PythonText.repr(key));
    }

    /** An attribute that the sandbox forbids. */
    static Undefined unsafe(Object object, String name) {
        return new Undefined(
                "access to attribute " + PythonText.repr(name) + " of '" + Values.typeName(object)
                        + "' object is unsafe.",
                "SecurityError");
    }

    TemplateFault fault() {
        return new TemplateFault(kind, message);
    }

    /** All undefined values are equal. */
    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Undefined;
    }

    @Override
    public int hashCode() {
        return 0;
    }
}
