import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_derivative(x):
    return sigmoid(x) * (1 - sigmoid(x))


class NeuralNetwork:
    def __init__(self, x, y, params):
        self.input = x
        self.weights1, self.bias1 = params.W1.T, params.b1
        self.weights2, self.bias2 = params.W2.T, params.b2
        self.y = y

    def feedforward(self):
        self.layer1 = sigmoid(np.dot(self.input, self.weights1) + self.bias1)
        self.output = sigmoid(np.dot(self.layer1, self.weights2) + self.bias2)

    def backprop(self):
        output_delta = (self.output - self.y) * sigmoid_derivative(self.output)
        d_weights2 = np.dot(self.layer1.T, output_delta)
        hidden_delta = np.dot(output_delta, self.weights2.T) * sigmoid_derivative(self.layer1)
        d_weights1 = np.dot(self.input.T, hidden_delta)
        return d_weights1, hidden_delta.sum(axis=0), d_weights2, output_delta.sum(axis=0)


def gradients(params, x, y):
    net = NeuralNetwork(x, y, params)
    net.feedforward()
    dw1, db1, dw2, db2 = net.backprop()
    return {"dW1": dw1.T, "db1": db1, "dW2": dw2.T, "db2": db2}
