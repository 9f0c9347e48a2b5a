package dev.baton.engine.rehearse;

import dev.baton.tensor.Device;
import dev.baton.tensor.Ops;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;

/**
 * A device whose operators take a multiple of their time: after each, the rank sleeps for what is missing. Proxies, so
 * that every operator is covered, those of later versions too; a call through one costs about a microsecond.
 */
final class SlowDevice {
    private SlowDevice() {}

    /** @param factor at least 1 */
    static Device of(Device device, double factor, Clock clock) {
        Ops slow = ops(device.ops(), factor, clock);
        InvocationHandler handler =
                (proxy, method, arguments) -> method.getName().equals("ops") ? slow : call(method, device, arguments);
        return (Device) Proxy.newProxyInstance(Device.class.getClassLoader(), new Class<?>[] {Device.class}, handler);
    }

    static Ops ops(Ops ops, double factor, Clock clock) {
        InvocationHandler handler = (proxy, method, arguments) -> {
            long start = clock.nanoTime();
            Object result = call(method, ops, arguments);
            long took = clock.nanoTime() - start;
            clock.sleepUntil(start + Math.round(took * factor));
            return result;
        };
        return (Ops) Proxy.newProxyInstance(Ops.class.getClassLoader(), new Class<?>[] {Ops.class}, handler);
    }

    private static Object call(java.lang.reflect.Method method, Object target, Object[] arguments) throws Throwable {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }
}
