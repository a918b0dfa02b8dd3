"""Physics in plain Python and NumPy: energies with their forces, an orbit, a time-stepped oscillator."""

import math

import numpy as np


def spring_energy(q, k):
    energy = 0.0
    for i in range(len(q) - 1):
        stretch = q[i + 1] - q[i] - 1.0
        energy += 0.5 * k * stretch**2
    return energy


def spring_gradients(q, k):
    dq = [0.0] * len(q)
    dk = 0.0
    for i in range(len(q) - 1):
        stretch = q[i + 1] - q[i] - 1.0
        dq[i] -= k * stretch
        dq[i + 1] += k * stretch
        dk += 0.5 * stretch**2
    return {"q": np.array(dq), "k": dk}


def lennard_jones(r, sigma):
    total = 0.0
    for i in range(r.shape[0]):
        for j in range(i):
            d2 = ((r[i] - r[j]) ** 2).sum()
            s6 = (sigma**2 / d2) ** 3
            total += 4 * (s6**2 - s6)
    return total


def lennard_jones_gradients(r, sigma):
    dr, dsigma = np.zeros_like(r), 0.0
    for i in range(r.shape[0]):
        for j in range(i):
            diff = r[i] - r[j]
            d2 = (diff**2).sum()
            s6 = (sigma**2 / d2) ** 3
            pull = -24 * (2 * s6**2 - s6) / d2
            dr[i] += pull * diff
            dr[j] -= pull * diff
            dsigma += 24 * (2 * s6**2 - s6) / sigma
    return {"r": dr, "sigma": dsigma}


def kepler(x, y, vx, vy):
    r = math.sqrt(x * x + y * y)
    energy = 0.5 * (vx**2 + vy**2) - 1 / r
    momentum = x * vy - y * vx
    return energy + 0.5 * momentum**2 + math.sin(momentum)


def kepler_gradients(x, y, vx, vy):
    r = math.sqrt(x * x + y * y)
    momentum = x * vy - y * vx
    dm = momentum + math.cos(momentum)
    dx = x / r**3 + dm * vy
    dy = y / r**3 - dm * vx
    dvx = vx - dm * y
    dvy = vy + dm * x
    return dx, dy, dvx, dvy


def oscillator(theta, omega, steps=4, dt=0.1):
    for _ in range(steps):
        omega = omega - dt * math.sin(theta)
        theta = theta + dt * omega
    return 0.5 * omega**2 - math.cos(theta)


def oscillator_gradients(theta, omega, steps=4, dt=0.1):
    path = []
    for _ in range(steps):
        path.append(theta)
        omega = omega - dt * math.sin(theta)
        theta = theta + dt * omega
    a, b = math.sin(theta), omega
    for theta in reversed(path):
        b = b + dt * a
        a = a - dt * math.cos(theta) * b
    return a, b
