from math import exp


def activate(weights, bias, inputs):
    activation = bias
    for i in range(len(weights)):
        activation += weights[i] * inputs[i]
    return activation


def transfer(activation):
    return 1.0 / (1.0 + exp(-activation))


def transfer_derivative(output):
    return output * (1.0 - output)


def gradients(params, x, y):
    hidden = [{"weights": [float(w) for w in row], "bias": float(b)} for row, b in zip(params.W1, params.b1)]
    output = [{"weights": [float(w) for w in row], "bias": float(b)} for row, b in zip(params.W2, params.b2)]
    dW1 = [[0.0] * len(x[0]) for _ in hidden]
    db1 = [0.0] * len(hidden)
    dW2 = [[0.0] * len(hidden) for _ in output]
    db2 = [0.0] * len(output)
    for row, expected in zip(x, y):
        for neuron in hidden:
            neuron["output"] = transfer(activate(neuron["weights"], neuron["bias"], row))
        inputs = [neuron["output"] for neuron in hidden]
        for neuron in output:
            neuron["output"] = transfer(activate(neuron["weights"], neuron["bias"], inputs))
        for k, neuron in enumerate(output):
            error = neuron["output"] - expected[k]
            neuron["delta"] = error * transfer_derivative(neuron["output"])
        for j, neuron in enumerate(hidden):
            error = 0.0
            for out in output:
                error += out["weights"][j] * out["delta"]
            neuron["delta"] = error * transfer_derivative(neuron["output"])
        for j, neuron in enumerate(hidden):
            for i in range(len(row)):
                dW1[j][i] += neuron["delta"] * row[i]
            db1[j] += neuron["delta"]
        for k, neuron in enumerate(output):
            for j in range(len(inputs)):
                dW2[k][j] += neuron["delta"] * inputs[j]
            db2[k] += neuron["delta"]
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
