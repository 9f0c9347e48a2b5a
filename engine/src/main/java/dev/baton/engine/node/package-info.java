/**
 * One server in several JVMs (nodes): how they find each other, how node 0 tells the others what their ranks do, and how
 * all end when one does.
 */
@org.jspecify.annotations.NullMarked
package dev.baton.engine.node;
