package dev.baton.trace.classify;

import java.util.regex.Pattern;

/**
 * Says that kernels whose name holds {@code pattern} are of a class.
 *
 * @param id how reports name the rule
 * @param kernelClass what it decides
 * @param pattern searched for anywhere in the name, upper and lower case alike
 */
public record KernelRule(String id, KernelClass kernelClass, Pattern pattern) {
    static KernelRule of(String id, KernelClass kernelClass, String expression) {
        return new KernelRule(id, kernelClass, Pattern.compile(expression, Pattern.CASE_INSENSITIVE));
    }
}
